/* The registry of running engines: one for each model file, backend and set of options.
 *
 * Its lock guards the table and the step of every engine's reference count to zero, so that an
 * engine that is found is alive. It is not held while a model loads, and no other lock is taken
 * under it.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "engine.h"
#include "cuda.h"
#include "engine-private.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

static GMutex registry_lock;
static GCond registry_settled;
/* char * -> CgEngine *, not referenced; NULL while a thread is opening it. */
static GHashTable *registry;

static gboolean
is_cancelled (const gint *cancel)
{
  return cancel && g_atomic_int_get (cancel) != 0;
}

/* Fills @engine with a new reference to the engine of @key, or NULL: the caller is to open it and then to call
 * registry_settle (). Waits while another thread opens it. A lost engine is left to its users. Returns: FALSE if it was
 * cancelled first. */
static gboolean
registry_claim (const char *key, const gint *cancel, CgEngine **engine, GError **error)
{
  gpointer found = NULL;
  gboolean cancelled;

  g_mutex_lock (&registry_lock);
  if (!registry)
    registry = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
  while (!(cancelled = is_cancelled (cancel)) &&
         g_hash_table_lookup_extended (registry, key, NULL, &found) && !found)
    g_cond_wait (&registry_settled, &registry_lock);
  if (cancelled)
    g_set_error_literal (error, CG_ERROR, CG_ERROR_COMPUTE, "Nobody waits for the model any more");
  else if (found && !cg_engine_is_lost (found))
    *engine = cg_engine_ref (found);
  else
    g_hash_table_replace (registry, g_strdup (key), NULL);
  g_mutex_unlock (&registry_lock);
  return !cancelled;
}

void
cg_engine_cancel_get (gint *cancel)
{
  g_mutex_lock (&registry_lock);
  g_atomic_int_set (cancel, 1);
  g_cond_broadcast (&registry_settled);
  g_mutex_unlock (&registry_lock);
}

/* @engine: NULL if it could not be opened; then the next one who waits may try. */
static void
registry_settle (const char *key, CgEngine *engine)
{
  g_mutex_lock (&registry_lock);
  if (engine)
    g_hash_table_replace (registry, g_strdup (key), engine);
  else
    g_hash_table_remove (registry, key);
  g_cond_broadcast (&registry_settled);
  g_mutex_unlock (&registry_lock);
}

static gboolean
is_engine (gpointer key, gpointer value, gpointer engine)
{
  return value == engine;
}

gboolean
cg_registry_release (CgEngine *engine, gatomicrefcount *refs)
{
  g_mutex_lock (&registry_lock);
  const gboolean last = g_atomic_ref_count_dec (refs);
  if (last && registry)
    g_hash_table_foreach_remove (registry, is_engine, engine);
  g_mutex_unlock (&registry_lock);
  return last;
}

/* ---- models by path ---- */

static gboolean
is_generated (const char *path)
{
  return g_str_has_prefix (path, "generated:");
}

static CgModel *
generate_model (const char *path, CgNetwork **network, GError **error)
{
  const char *preset = path + strlen ("generated:");
  const char *colon = strrchr (preset, ':');
  guint64 seed = 0;

  if (!colon || !g_ascii_string_to_unsigned (colon + 1, 10, 0, G_MAXUINT64, &seed, NULL)) {
    g_set_error (error, CG_ERROR, CG_ERROR_NOT_FOUND,
                 "\"%s\" is not a generated model: expected generated:PRESET:SEED, as in "
                 "generated:small-16:1",
                 path);
    return NULL;
  }
  g_autofree char *name = g_strndup (preset, colon - preset);
  return cg_model_generate (name, seed, network, error);
}

/* What makes two paths the same model. NULL if there is no such file. */
static char *
model_key (const char *path, GError **error)
{
  struct stat st;

  if (is_generated (path))
    return g_strdup (path);
  if (stat (path, &st) == 0)
    return g_strdup_printf ("file:%ju:%ju:%jd:%jd.%09ld", (uintmax_t)st.st_dev,
                            (uintmax_t)st.st_ino, (intmax_t)st.st_size, (intmax_t)st.st_mtim.tv_sec,
                            st.st_mtim.tv_nsec);
  const int reason = errno;
  g_set_error (error, CG_ERROR,
               reason == ENOENT || reason == ENOTDIR ? CG_ERROR_NOT_FOUND : CG_ERROR_READ, "%s: %s",
               path, g_strerror (reason));
  return NULL;
}

/* What makes two requests the same engine. */
static char *
engine_key (const char *path, const CgBackend *backend, const CgEngineOptions *options,
            GError **error)
{
  g_autofree char *model = model_key (path, error);

  if (model == NULL)
    return NULL;
  return g_strdup_printf (
      "%s %s gpu=%u precision=%d threads=%u isa=%s delay=%u fail=%u lose=%u load=%u", model,
      backend->name, backend->reads_cuda ? options->cuda_device : 0, options->precision,
      options->threads, options->isa ? options->isa : "", options->null_delay_us,
      options->null_fail_at, options->null_lose_at, options->null_load_us);
}

static CgEngine *
get_with_backend (const CgBackend *backend, const char *path, const CgEngineOptions *options,
                  const gint *cancel, GError **error)
{
  g_autofree char *key = engine_key (path, backend, options, error);

  while (key) {
    CgEngine *engine = NULL;
    if (!registry_claim (key, cancel, &engine, error) || engine)
      return engine;

    g_autoptr (CgNetwork) network = NULL;
    g_autoptr (CgModel) model = is_generated (path) ? generate_model (path, &network, error)
                                                    : cg_model_load (path, &network, error);
    g_autofree char *key_now = model ? engine_key (path, backend, options, error) : NULL;
    const gboolean replaced = key_now && !g_str_equal (key, key_now);
    if (key_now && !replaced)
      engine = cg_engine_new_with_backend (backend, model, network, options, error);
    registry_settle (key, engine);
    if (!replaced)
      return engine;

    /* The file was replaced between the look at it and its reading: once more, as it is now. */
    g_free (key);
    key = g_steal_pointer (&key_now);
  }
  return NULL;
}

CgEngine *
cg_engine_get_with_backend (const CgBackend *backend, const char *path,
                            const CgEngineOptions *options, GError **error)
{
  return get_with_backend (backend, path, options, NULL, error);
}

CgEngine *
cg_engine_get_noting (const char *path, const CgEngineOptions *options, const gint *cancel,
                      char **note, GError **error)
{
  g_autofree char *model = model_key (path, error);
  g_autoptr (GError) reason = NULL;

  *note = NULL;
  if (model == NULL) /* before the libraries of a GPU are opened, which takes much longer */
    return NULL;
  const gboolean tries =
      options->device == CG_DEVICE_AUTO && !options->isa && cg_cuda_is_installed ();
  if (tries && cg_cuda_probe (options->cuda_device, &reason)) {
    CgEngine *engine = get_with_backend (cg_backend_cuda (), path, options, cancel, &reason);
    if (engine)
      return engine;
  }

  const CgBackend *backend = cg_backend_for (options->device, error);
  CgEngine *engine = backend ? get_with_backend (backend, path, options, cancel, error) : NULL;
  /* A model that is at fault itself has failed again. */
  if (engine && reason)
    *note = g_strdup (reason->message);
  return engine;
}

CgEngine *
cg_engine_get (const char *path, const CgEngineOptions *options, GError **error)
{
  g_autofree char *note = NULL;

  return cg_engine_get_noting (path, options, NULL, &note, error);
}
