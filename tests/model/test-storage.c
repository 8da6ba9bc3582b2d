/* One block for many tensors: alignment, order, zeroes, and sizes that cannot be.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "model/storage.h"

#include <stdlib.h>

static void
test_layout (void)
{
  /* given tensors whose sizes are no multiple of a 64-byte line, and an empty one */
  float *a = NULL, *b = NULL, *empty = NULL, *c = NULL;
  CgStorage storage;
  cg_storage_init (&storage);
  cg_storage_add (&storage, &a, 3, 7);
  cg_storage_add (&storage, &b, 1, 16);
  cg_storage_add (&storage, &empty, 0, 5);
  cg_storage_add (&storage, &c, 17, 1);
  g_assert_cmpuint (storage.size, ==, 32 + 16 + 32);

  /* when */
  g_autoptr (GError) error = NULL;
  float *block = cg_storage_allocate (&storage, "a test", &error);

  /* then each starts on a line, in order, and all is zero */
  g_assert_no_error (error);
  g_assert_cmpuint ((guintptr)block % 64, ==, 0);
  g_assert_true (a == block);
  g_assert_true (b == block + 32);
  g_assert_true (empty == block + 48);
  g_assert_true (c == block + 48);
  for (guint i = 0; i < 80; i++)
    g_assert_cmpfloat (block[i], ==, 0);
  free (block);
}

static void
test_nothing (void)
{
  CgStorage storage;
  g_autoptr (GError) error = NULL;

  cg_storage_init (&storage);
  float *block = cg_storage_allocate (&storage, "nothing", &error);
  g_assert_no_error (error);
  g_assert_nonnull (block);
  free (block);
}

static void
refuse (gsize rows_a, gsize rows_b, gsize columns_b)
{
  float *a = NULL, *b = NULL;
  CgStorage storage;
  g_autoptr (GError) error = NULL;

  cg_storage_init (&storage);
  cg_storage_add (&storage, &a, rows_a, 1);
  cg_storage_add (&storage, &b, rows_b, columns_b);
  g_assert_null (cg_storage_allocate (&storage, "the network", &error));
  g_assert_error (error, CG_ERROR, CG_ERROR_MEMORY);
  g_assert_nonnull (strstr (error->message, "the network"));
  g_assert_null (a);
  g_assert_null (b);
}

static void
test_overflow (void)
{
  refuse (1, G_MAXSIZE / 2, 3);     /* a product overflows */
  refuse (G_MAXSIZE - 20, 64, 1);   /* a sum overflows */
  refuse (1, G_MAXSIZE - 16, 1);    /* padding overflows */
  refuse (1, G_MAXSIZE / 4 + 1, 1); /* the bytes overflow */
  refuse (1, G_MAXSIZE / 2, G_MAXSIZE / 2);
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  g_test_add_func ("/storage/layout", test_layout);
  g_test_add_func ("/storage/nothing", test_nothing);
  g_test_add_func ("/storage/overflow", test_overflow);
  return g_test_run ();
}
