/* The network: its geometry, the tensors that geometry implies, and the exact algebraic folds.
 * Knows nothing of how it is computed.
 *
 * The network is CityGuessr's (Kulkarni, Nayak, Shah, ECCV 2024, arXiv 2411.06344): a VideoMAE
 * encoder without final norm, the mean of its tokens as feature, four linear heads, Self-Cross
 * Attention (SCA) over their concatenated logits, and two multi-layer perceptrons on its output,
 * FFN_s (scenes) and FFN_t (text alignment).
 *
 *   x   = Conv3d (pixels, kernel = stride = tubelet x patch x patch) + sinusoid position  [tokens][width]
 *   x  += Wo · Attn (LN1 x) + bo        q and v have a bias, k has none                   per block
 *   x  += W2 · gelu (W1 · LN2 x + b1) + b2       gelu (x) = x/2 (1 + erf (x/sqrt 2))      per block
 *   f   = mean over tokens of x                                                            [width]
 *   PV  = city | state | country | continent logits = heads · f + bias                     [labels]
 *   PV' = final (MHA (query (PV), key (PV), value (PV)))     each logit is a token of width 1 -> 6
 *   scene = FFN_s (PV'), text = FFN_t (PV')                  ReLU between layers, none at the end
 *
 * Tokens are ordered time-major, then row, then column. Position (VideoMAE): angle of position p
 * and component j is p / 10000^(2 floor (j/2) / width); sine on even j, cosine on odd j.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

#include "places.h"
#include "weights.h"

G_BEGIN_DECLS

#define CG_MAX_FRAMES 64
#define CG_MAX_MLP_LAYERS 8
#define CG_MAX_MLP_SIZE 8192
#define CG_MAX_TOKENS 32768
#define CG_SCA_WIDTH 6 /* the paper's: 1 -> 6, two heads of 3 */
#define CG_SCA_HEADS 2

/** CgMlp: sizes of a stack of linear layers: @size[0] inputs, @size[@layers] outputs. @layers 0: absent. */
typedef struct {
  guint layers;
  guint size[CG_MAX_MLP_LAYERS + 1];
} CgMlp;

/** CgGeometry: every size of the network. Checked by cg_geometry_check():
 * @frames: samples of a window, 2..64, a multiple of @tubelet
 * @tubelet: frames per token, 1..8
 * @image: side of the square model frame in pixels, 16..512, a multiple of @patch
 * @patch: side of a patch, 4..32. At most CG_MAX_TOKENS tokens: their positions are made, not read,
 *   so no file's size bounds them
 * @width: 32..1280, a multiple of 16, of @heads, and width / heads is a multiple of 4, at most 128
 * @depth: blocks, 1..48
 * @heads: attention heads. Cannot be seen in the tensors' shapes: never guessed
 * @mlp: hidden width of a block, 16..8192, a multiple of 16
 * @layer_norm_eps: 0 < eps <= 1e-2. Hugging Face: 1e-12, MCG-NJU: 1e-6
 * @labels: logits per level, 1..65535, from the places
 * @scene, @text: FFN_s and FFN_t. size[0] is the sum of @labels, the others 1..CG_MAX_MLP_SIZE. Both
 *   or either may be absent; SCA exists if one of them does
 */
typedef struct {
  guint frames, tubelet, image, patch, width, depth, heads, mlp;
  gdouble layer_norm_eps;
  guint labels[CG_LEVELS];
  CgMlp scene, text;
} CgGeometry;

/** cg_geometry_check: every bound above. Errors: CONFIG, naming @where, the field, what was found and expected. */
gboolean cg_geometry_check (const CgGeometry *geometry, const char *where, GError **error);

guint cg_geometry_tokens (const CgGeometry *geometry);       /* frames/tubelet * (image/patch)^2 */
guint cg_geometry_patch_values (const CgGeometry *geometry); /* tubelet * patch^2 * 3 */
guint cg_geometry_total_labels (const CgGeometry *geometry); /* 420 for CityGuessr68k */
gboolean cg_geometry_has_sca (const CgGeometry *geometry);   /* with scenes or text */

/** cg_geometry_flops: floating point operations (2 per multiply-add) of the encoder for one window,
 * counting matrix products only: the figure that benchmarks divide by. */
gdouble cg_geometry_flops (const CgGeometry *geometry);

/** cg_geometry_preset: a named geometry with the labels of CityGuessr68k, 16 scenes, 512 text values:
 * "small-16" (the authors': 16 heads of 24, eps 1e-12), "small-6" (6 of 64, eps 1e-6), "base", "large"
 * (both eps 1e-12), "tiny" (8 frames of 64 pixels, width 64, depth 2, 4 heads, eps 1e-6: for tests).
 * Returns FALSE and sets @error, listing the names, if there is no such preset. */
gboolean cg_geometry_preset (const char *name, CgGeometry *geometry, GError **error);

/** cg_geometry_tensors: the table of tensors of this geometry, in file order. The names:
 *   patch_embed.weight [width][3][tubelet][patch][patch]   patch_embed.bias [width]
 *   blocks.N.norm1.{weight,bias} [width]
 *   blocks.N.attn.qkv.weight [3 width][width]   blocks.N.attn.{q_bias,v_bias} [width]
 *   blocks.N.attn.proj.weight [width][width]    blocks.N.attn.proj.bias [width]
 *   blocks.N.norm2.{weight,bias} [width]
 *   blocks.N.mlp.fc1.weight [mlp][width]  .bias [mlp]   blocks.N.mlp.fc2.weight [width][mlp]  .bias [width]
 *   heads.{city,state,country,continent}.weight [labels][width]  .bias [labels]
 *   sca.{query,key,value}.weight [6][1]  .bias [6]   sca.in_proj.weight [18][6]  .bias [18]
 *   sca.out_proj.weight [6][6]  .bias [6]            sca.final.weight [1][6]  .bias [1]
 *   scene.I.weight [size[I+1]][size[I]]  .bias       text.I.weight  .bias
 * Returns: (transfer full): g_free(); @n: (out) its length. */
CgTensorSpec *cg_geometry_tensors (const CgGeometry *geometry, guint *n);

/* ---- weights of the network, as in the file, widened to float32 ---- */

typedef struct {
  float *norm1_weight, *norm1_bias; /* [width] */
  float *qkv_weight;                /* [3 width][width]: rows of q, k, v; head-major inside */
  float *q_bias, *v_bias;           /* [width] */
  float *proj_weight, *proj_bias;   /* [width][width], [width] */
  float *norm2_weight, *norm2_bias; /* [width] */
  float *fc1_weight, *fc1_bias;     /* [mlp][width], [mlp] */
  float *fc2_weight, *fc2_bias;     /* [width][mlp], [width] */
} CgBlock;

typedef struct {
  float *weight, *bias; /* [out][in], [out] */
} CgLinear;

/** CgNetwork: one allocation of float32 tensors and pointers into it. Immutable once made. */
typedef struct {
  CgGeometry geometry;
  float *patch_weight, *patch_bias; /* [width][3][tubelet][patch][patch], [width] */
  CgBlock *blocks;                  /* [depth] */
  CgLinear heads[CG_LEVELS];        /* [labels[l]][width] */
  /* NULL without SCA: */
  CgLinear sca_query, sca_key, sca_value, sca_in_proj, sca_out_proj, sca_final;
  CgLinear scene[CG_MAX_MLP_LAYERS], text[CG_MAX_MLP_LAYERS];
  float *storage;
  gsize storage_size; /* floats */
  guint n_tensors;
  float **tensors; /* [n_tensors]: cg_network_tensor() */
} CgNetwork;

/** cg_network_new: zeroed storage with all pointers set. @geometry has been checked.
 * Returns: (transfer full): cg_network_free(). Errors: MEMORY. */
CgNetwork *cg_network_new (const CgGeometry *geometry, GError **error);
void cg_network_free (CgNetwork *network);

/** cg_network_tensor: where the tensor of row @i of cg_geometry_tensors() lies. Tensors lie in
 * @storage in table order, each one aligned to 64 bytes. */
float *cg_network_tensor (const CgNetwork *network, guint i);

/* ---- input scaling: x = (pixel * scale - mean[c]) / std[c], pixel in 0..255 ---- */

typedef struct {
  gdouble scale, mean[3], std[3];
} CgInput;

/* ---- the exact folds: the same function with less work. Computed in double, stored in float ----
 *
 *  - input scaling goes into the patch weights and bias; pixels enter as integers 0..255;
 *  - the patch bias goes into the position table;
 *  - LayerNorm's weight and bias go into the linear layer behind it: W diag(g), b + W beta;
 *  - q carries 1/sqrt(head width) * log2 e, so that softmax is exp2 (q·k - max);
 *  - a bias of k (from LN1's beta) adds the same to every score of a query: dropped;
 *  - the bias of v passes through softmax unchanged (rows sum to one): it goes into proj's bias;
 *  - the last block's fc2 commutes with the mean over tokens: mean (x) + W2 mean (gelu) + b2: engines
 *    use it, nothing is stored for it;
 *  - SCA on scalar tokens collapses to 7 scalars: with x the logits,
 *      t_h(i) = alpha_h x_i + beta_h,  m_h(i) = sum_j softmax_j (t_h(i) x_j) x_j,
 *      PV'_i = sum_h gamma_h m_h(i) + delta. The largest exponent is t xmax or t xmin.
 */
typedef struct {
  float *qkv_weight;              /* [3 width][width] */
  float *q_bias;                  /* [width] */
  float *proj_weight, *proj_bias; /* [width][width], [width] */
  float *fc1_weight, *fc1_bias;   /* [mlp][width], [mlp] */
  float *fc2_weight, *fc2_bias;   /* [width][mlp], [width] */
} CgFoldedBlock;

typedef struct {
  CgGeometry geometry;
  float *patch_weight;   /* [width][tubelet][patch][patch][3]: a model frame's byte order */
  float *position;       /* [tokens][width], with the patch bias */
  CgFoldedBlock *blocks; /* [depth] */
  float *heads_weight;   /* [total labels][width], city first */
  float *heads_bias;     /* [total labels] */
  float sca_alpha[CG_SCA_HEADS], sca_beta[CG_SCA_HEADS], sca_gamma[CG_SCA_HEADS], sca_delta;
  CgLinear scene[CG_MAX_MLP_LAYERS], text[CG_MAX_MLP_LAYERS];
  float *storage;
  gsize storage_size; /* floats */
} CgFolded;

/** cg_network_fold: a copy of everything an engine needs; @network may be freed afterwards.
 * Returns: (transfer full): cg_folded_free(). Errors: MEMORY; TENSOR if a folded value overflows float. */
CgFolded *cg_network_fold (const CgNetwork *network, const CgInput *input, GError **error);
void cg_folded_free (CgFolded *folded);

/** cg_folded_aux: SCA, FFN_s and FFN_t from the logits, in the collapsed form, single thread, float
 * (about 0.1 ms). @scene and @text may be NULL. Any engine may call it. */
void cg_folded_aux (const CgFolded *folded, const float *logits, float *scene, float *text);

/** cg_position: the sinusoid table value (formula above). */
gdouble cg_position (guint position, guint component, guint width);

/* ---- what a window gives ---- */

/** CgOutputs: the outputs of one window, in one allocation.
 * @features: [width]   @logits: [total labels], city | state | country | continent, raw
 * @scene: [scenes] raw logits, @text: [text values]; NULL if absent or not asked for */
typedef struct {
  float *features, *logits, *scene, *text;
} CgOutputs;

/** cg_outputs_new: zeroed; @auxiliary: with scene and text where the geometry has them. g_free(). */
CgOutputs *cg_outputs_new (const CgGeometry *geometry, gboolean auxiliary);

G_DEFINE_AUTOPTR_CLEANUP_FUNC (CgNetwork, cg_network_free)
G_DEFINE_AUTOPTR_CLEANUP_FUNC (CgFolded, cg_folded_free)

G_END_DECLS
