/* From logits to one consistent place. Knows nothing of time.
 *
 * Calibration: p_l = softmax (logits_l / temperature_l) at each level l (Guo et al. 2017, arXiv 1706.04599).
 *
 * Decoding:
 *  - INDEPENDENT: the most probable label of each head by itself. May contradict itself: a city that is
 *    not in the country. For comparison with published figures.
 *  - CODEPENDENT (the authors'): the city head decides; state, country and continent are its parents. The
 *    probability of a level is its own head's for that label.
 *  - MARGINAL (default): one distribution over cities, starting with p(c) = p_city(c). Then for continent,
 *    country and state in turn: m(a) = sum of p(c) under label a; p(c) *= (p_l(a)/m(a))^(1/2) for a above c;
 *    normalise. One such step makes the marginal at that level proportional to sqrt (m · p_l), the
 *    log-linear pool of the two opinions (Genest and Zidek 1986, Statistical Science 1(1)). A level's
 *    probabilities are then the sums of p(c) up the tree, so that they agree with each other. The place is
 *    read from the top: the most probable continent, in it the most probable country, and so on.
 *
 * Withholding: a level under min_confidence is withheld, and with it every finer one.
 *
 * Coordinates: over the cities in the finest level that is given (all cities if none is), the city of the
 * largest p(c); horizontal_error is the smallest radius in metres around it that holds 90 % of the *whole*
 * p(c) (for INDEPENDENT and CODEPENDENT p = p_city).
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "model.h"

G_BEGIN_DECLS

typedef enum { CG_DECODING_MARGINAL, CG_DECODING_CODEPENDENT, CG_DECODING_INDEPENDENT } CgDecoding;

#define CG_MAX_TOP_K 20

typedef struct {
  CgDecoding decoding;
  guint top_k;            /* 0..20 */
  gdouble min_confidence; /* 0..1 */
} CgDecodeOptions;

typedef struct {
  guint index;
  gdouble probability;
} CgPrediction;

/** CgAnswer: plain data, no pointers.
 * @finest: the finest level that is given; CG_LEVELS if everything is withheld
 * @index, @probability: the decoded label of each level, also of withheld ones (check @finest)
 * @top: [level][rank], @n_top of them: the most probable labels of each level by that level's probabilities
 *   (of the decoding's distribution), ties by lower index
 * @scene: index or -1; @scene_probability: softmax of the scene logits */
typedef struct {
  guint finest;
  guint index[CG_LEVELS];
  gdouble probability[CG_LEVELS];
  gdouble latitude, longitude, horizontal_error;
  guint n_top[CG_LEVELS];
  CgPrediction top[CG_LEVELS][CG_MAX_TOP_K];
  gint scene;
  gdouble scene_probability;
} CgAnswer;

/** cg_decode: @outputs of one window of @model. Fails with CG_ERROR_COMPUTE if a logit is not finite.
 * @cities: (out) (nullable): p(c), [cities]
 * Any thread. */
gboolean cg_decode (const CgModel *model, const CgOutputs *outputs, const CgDecodeOptions *options,
                    CgAnswer *answer, gdouble *cities, GError **error);

/** cg_decode_cities: the place that one distribution over cities means: its sums up the tree, read from the
 * top as MARGINAL does; withheld levels, coordinates and the top labels as above. No scene.
 * @cities: p(c), [cities], sums to 1; @options: decoding is not looked at
 * Any thread. */
void cg_decode_cities (const CgModel *model, const gdouble *cities, const CgDecodeOptions *options,
                       CgAnswer *answer);

/** cg_softmax: stable softmax of @n logits divided by @temperature, in double. */
void cg_softmax (const float *logits, guint n, gdouble temperature, gdouble *probabilities);

G_END_DECLS
