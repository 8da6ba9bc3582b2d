/* Pictures in a GPU's memory, and GPUs that fail, without a GPU: see fake-cuda/memory.h.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#include "cuda/module.h"
#include "element-fixture.h"
#include "fake-cuda/memory.h"
#include "frame.h"
#include "model/error.h"

#define CUDA_CAPS "video/x-raw(memory:CUDAMemory),format=RGB,width=16,height=16,framerate=25/1"

/* ---- mapping ---- */

#define WIDTH 32
#define HEIGHT 20
#define PITCH 64

static GstBuffer *
nv12_new (GstMemory *memory)
{
  gsize offset[GST_VIDEO_MAX_PLANES] = { 0, PITCH * HEIGHT };
  gint stride[GST_VIDEO_MAX_PLANES] = { PITCH, PITCH };
  GstBuffer *buffer = gst_buffer_new ();

  gst_buffer_append_memory (buffer, memory);
  gst_buffer_add_video_meta_full (buffer, GST_VIDEO_FRAME_FLAG_NONE, GST_VIDEO_FORMAT_NV12, WIDTH,
                                  HEIGHT, 2, offset, stride);
  return buffer;
}

/* Read in place, the planes are the device's, with its pitch, and complete; the CPU gets nothing. */
GST_START_TEST (test_in_place)
{
  GstBuffer *buffer = nv12_new (fake_cuda_memory_new (PITCH * HEIGHT * 3 / 2, 77));
  GstVideoCropMeta *crop = gst_buffer_add_video_crop_meta (buffer);
  const guint downloads = fake_cuda_downloads ();
  GstVideoFrame video;
  GstVideoInfo info;
  CgFrame frame;

  crop->x = 4;
  crop->y = 2;
  crop->width = 20;
  crop->height = 10;
  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_NV12, WIDTH, HEIGHT);
  fail_unless (gst_city_guessr_frame_map (&video, &info, buffer, TRUE, &frame, NULL));
  fail_unless_equals_int (frame.memory, CG_MEMORY_CUDA);
  fail_unless_equals_int (frame.width, 20);
  fail_unless_equals_int (frame.stride[0], PITCH);
  fail_unless_equals_int (frame.plane[1] - frame.plane[0], PITCH * HEIGHT + PITCH - 2 * PITCH);
  fail_unless_equals_int (fake_cuda_read (frame.plane[0]), 77);
  fail_unless_equals_int (fake_cuda_read (frame.plane[1]), 77);
  gst_video_frame_unmap (&video);
  fail_unless_equals_int (fake_cuda_downloads (), downloads);
  gst_buffer_unref (buffer);
}
GST_END_TEST;

/* For an engine that reads system memory GStreamer downloads it; and what is in system memory stays there. */
GST_START_TEST (test_downloaded)
{
  GstBuffer *pictures[] = { nv12_new (fake_cuda_memory_new (PITCH * HEIGHT * 3 / 2, 77)),
                            nv12_new (gst_allocator_alloc (NULL, PITCH * HEIGHT * 3 / 2, NULL)) };
  GstVideoInfo info;

  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_NV12, WIDTH, HEIGHT);
  gst_buffer_memset (pictures[1], 0, 77, PITCH * HEIGHT * 3 / 2);
  for (guint i = 0; i < G_N_ELEMENTS (pictures); i++) {
    GstVideoFrame video;
    CgFrame frame;

    fail_unless (gst_city_guessr_frame_map (&video, &info, pictures[i], i == 1, &frame, NULL));
    fail_unless_equals_int (frame.memory, CG_MEMORY_SYSTEM);
    fail_unless_equals_int (frame.plane[0][0], 77);
    fail_unless_equals_int (frame.plane[1][WIDTH - 1], 77);
    gst_video_frame_unmap (&video);
    gst_buffer_unref (pictures[i]);
  }
}
GST_END_TEST;

/* What can't be read either way is an error that says what helps. */
GST_START_TEST (test_refused)
{
  GstMemory *memory = fake_cuda_memory_new (PITCH * HEIGHT * 3 / 2, 77);
  GstBuffer *buffer = nv12_new (memory);
  GstVideoInfo info;

  fake_cuda_memory_refuse (memory);
  gst_video_info_set_format (&info, GST_VIDEO_FORMAT_NV12, WIDTH, HEIGHT);
  for (guint i = 0; i < 2; i++) {
    g_autoptr (GError) error = NULL;
    GstVideoFrame video;
    CgFrame frame;

    fail_if (gst_city_guessr_frame_map (&video, &info, buffer, i == 1, &frame, &error));
    fail_unless (g_error_matches (error, CG_ERROR, CG_ERROR_INPUT));
    fail_unless (strstr (error->message, "cudadownload") != NULL, "%s", error->message);
  }
  gst_buffer_unref (buffer);
}
GST_END_TEST;

/* ---- the element ---- */

static GstBuffer *
cuda_picture_new (guint i)
{
  GstBuffer *buffer = picture_new (i);

  gst_buffer_replace_all_memory (buffer, fake_cuda_memory_new (SIZE, i));
  return buffer;
}

static void
push_cuda (Fixture *fixture, guint begin, guint n)
{
  for (guint i = begin; i < begin + n; i++)
    fail_unless_equals_int (gst_harness_push (fixture->harness, cuda_picture_new (i)), GST_FLOW_OK);
}

static void
start_element (Fixture *fixture, GstElement *element, const gchar *device)
{
  gst_util_set_object_arg (G_OBJECT (element), "device", device);
  fixture_start (fixture, element, "offline");
  gst_harness_set_src_caps_str (fixture->harness, CUDA_CAPS);
}

static void
start (Fixture *fixture, const gchar *device)
{
  start_element (fixture, element_new (0), device);
}

/* Over the engine "cuda" samples are made where the pictures lie; the video itself goes on as it came. */
GST_START_TEST (test_cuda_engine)
{
  const guint downloads = fake_cuda_downloads ();
  Fixture fixture;
  GstStructure *answer;
  GstBuffer *out;

  start (&fixture, "cuda");
  push_cuda (&fixture, 0, 36);
  answer = next_answer (&fixture);
  fail_unless_equals_string (gst_structure_get_string (answer, "device"), "cuda");
  gst_structure_free (answer);
  fail_unless (total (&fixture, "samples") >= FRAMES);
  fail_unless_equals_uint64 (total (&fixture, "failed-samples"), 0);
  fail_unless_equals_int (fake_cuda_downloads (), downloads);

  /* A shot that begins with a sample is seen in it. */
  push_cuda (&fixture, 36, 4);
  out = cuda_picture_new (40);
  gst_buffer_replace_all_memory (out, fake_cuda_memory_new (SIZE, 255));
  fail_unless_equals_int (gst_harness_push (fixture.harness, out), GST_FLOW_OK);
  fail_unless_equals_uint64 (total (&fixture, "cuts"), 1);
  fail_unless_equals_int (fake_cuda_downloads (), downloads);

  out = gst_harness_pull (fixture.harness);
  fail_unless (gst_memory_is_type (gst_buffer_peek_memory (out, 0), "gst.cuda.memory"));
  gst_buffer_unref (out);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* The same pictures give the same answers from either memory. */
GST_START_TEST (test_same_answers)
{
  Fixture fixture;
  gchar *from_cuda, *from_system;

  start (&fixture, "cuda");
  push_cuda (&fixture, 0, 60);
  push_event (&fixture, gst_event_new_eos ());
  from_cuda = take_answers (fixture.bus);
  fixture_clear (&fixture);

  start (&fixture, "cuda");
  gst_harness_set_src_caps_str (fixture.harness, CAPS);
  push (&fixture, 0, 60);
  push_event (&fixture, gst_event_new_eos ());
  from_system = take_answers (fixture.bus);
  fixture_clear (&fixture);

  fail_unless (strlen (from_cuda) > 0);
  fail_unless_equals_string (from_cuda, from_system);
  g_free (from_cuda);
  g_free (from_system);
}
GST_END_TEST;

/* Another engine takes them, too: just what becomes a sample is downloaded. */
GST_START_TEST (test_other_engine)
{
  const guint downloads = fake_cuda_downloads ();
  Fixture fixture;

  start (&fixture, "null");
  push_cuda (&fixture, 0, 36);
  assert_window (next_answer (&fixture), 0, 5);
  fail_unless_equals_uint64 (total (&fixture, "failed-samples"), 0);
  fail_unless (total (&fixture, "samples") < 36);
  fail_unless_equals_uint64 (fake_cuda_downloads () - downloads, total (&fixture, "samples"));
  fixture_clear (&fixture);
}
GST_END_TEST;

/* ---- a GPU that fails ---- */

static void
expect_answer_of (Fixture *fixture, const gchar *device)
{
  g_autoptr (GstStructure) answer = next_answer (fixture);

  fail_unless_equals_string (gst_structure_get_string (answer, "device"), device);
}

static const struct {
  FakeCudaCall call;
  CgCudaStatus status;
} losses[] = {
  { FAKE_CUDA_PUT, CG_CUDA_LOST },   { FAKE_CUDA_GET, CG_CUDA_LOST },
  { FAKE_CUDA_RUN, CG_CUDA_LOST },   { FAKE_CUDA_PUT, CG_CUDA_MEMORY },
  { FAKE_CUDA_GET, CG_CUDA_MEMORY }, { FAKE_CUDA_RUN, CG_CUDA_MEMORY },
};

/* A GPU that is lost, or that has no memory any more, while the stream runs: one WARNING, and the CPU takes over. */
GST_START_TEST (test_loss_falls_back)
{
  Fixture fixture;

  start (&fixture, "cuda");
  push_cuda (&fixture, 0, 36);
  expect_answer_of (&fixture, "cuda");
  fake_cuda_fail (losses[__i__].call, 0, losses[__i__].status);
  push_cuda (&fixture, 36, 100);
  expect_told (&fixture, GST_MESSAGE_WARNING, "refuses. The CPU takes over");
  expect_answer_of (&fixture, "cpu");
  assert_no_message (&fixture, GST_MESSAGE_WARNING | GST_MESSAGE_ERROR);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* The same where that is not wanted: one ERROR, and the stream ends. */
GST_START_TEST (test_loss_is_an_error)
{
  GstElement *element = element_new (0);
  GstFlowReturn flow = GST_FLOW_OK;
  Fixture fixture;

  gst_util_set_object_arg (G_OBJECT (element), "on-device-loss", "error");
  start_element (&fixture, element, "cuda");
  push_cuda (&fixture, 0, 36);
  expect_answer_of (&fixture, "cuda");
  fake_cuda_fail (losses[__i__].call, 0, losses[__i__].status);
  for (guint i = 36; i < 100 && flow == GST_FLOW_OK; i++)
    flow = gst_harness_push (fixture.harness, cuda_picture_new (i));
  fail_unless_equals_int (flow, GST_FLOW_ERROR);
  expect_told (&fixture, GST_MESSAGE_ERROR, "refuses");
  assert_no_message (&fixture, TOLD);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* Two GPUs are two engines: what befalls one is nothing to the other. */
GST_START_TEST (test_two_gpus)
{
  Fixture fixtures[2];

  for (guint i = 0; i < 2; i++) {
    GstElement *element = element_new (0);
    g_autofree gchar *active = NULL, *expected = g_strdup_printf ("cuda fake %u", i);

    g_object_set (element, "cuda-device-id", i, NULL);
    start_element (&fixtures[i], element, "cuda");
    push_cuda (&fixtures[i], 0, 36);
    expect_answer_of (&fixtures[i], "cuda");
    g_object_get (element, "active-device", &active, NULL);
    fail_unless_equals_string (active, expected);
  }
  fake_cuda_fail (FAKE_CUDA_RUN, 0, CG_CUDA_LOST);
  for (guint i = 0; i < 2; i++)
    push_cuda (&fixtures[i], 36, 100);
  expect_told (&fixtures[0], GST_MESSAGE_WARNING, "The CPU takes over");
  expect_answer_of (&fixtures[0], "cpu");
  expect_answer_of (&fixtures[1], "cuda");
  for (guint i = 0; i < 2; i++) {
    assert_no_message (&fixtures[i], GST_MESSAGE_WARNING | GST_MESSAGE_ERROR);
    fixture_clear (&fixtures[i]);
  }
}
GST_END_TEST;

static const struct {
  FakeCudaCall call;
  CgCudaStatus status;
} refusals[] = {
  { FAKE_CUDA_PROBE, CG_CUDA_ABSENT },     { FAKE_CUDA_PROBE, CG_CUDA_UNSUPPORTED },
  { FAKE_CUDA_OPEN, CG_CUDA_UNSUPPORTED }, { FAKE_CUDA_OPEN, CG_CUDA_MEMORY },
  { FAKE_CUDA_OPEN, CG_CUDA_COMPUTE },
};

/* A GPU on which nothing starts: with "auto" the CPU computes, and one WARNING says why. */
GST_START_TEST (test_refusal_of_auto)
{
  Fixture fixture;

  fake_cuda_fail (refusals[__i__].call, 0, refusals[__i__].status);
  start (&fixture, "auto");
  expect_told (&fixture, GST_MESSAGE_WARNING, "refuses. The CPU computes.");
  push_cuda (&fixture, 0, 36);
  expect_answer_of (&fixture, "cpu");
  assert_no_message (&fixture, GST_MESSAGE_WARNING | GST_MESSAGE_ERROR);
  fixture_clear (&fixture);
}
GST_END_TEST;

/* With "cuda" it is the ERROR of the state change; and so is a GPU that is not there. */
GST_START_TEST (test_refusal_of_cuda)
{
  const gboolean other = __i__ == G_N_ELEMENTS (refusals);
  GstElement *element = element_new (0);
  Fixture fixture = { .element = element, .bus = gst_bus_new () };

  gst_util_set_object_arg (G_OBJECT (element), "device", "cuda");
  gst_element_set_bus (element, fixture.bus);
  if (other)
    g_object_set (element, "cuda-device-id", FAKE_CUDA_DEVICES, NULL);
  else
    fake_cuda_fail (refusals[__i__].call, 0, refusals[__i__].status);
  fail_unless_equals_int (gst_element_set_state (element, GST_STATE_PAUSED),
                          GST_STATE_CHANGE_FAILURE);
  expect_told (&fixture, GST_MESSAGE_ERROR, other ? "no such fake GPU" : "refuses");
  gst_element_set_state (element, GST_STATE_NULL);
  gst_element_set_bus (element, NULL);
  gst_object_unref (fixture.bus);
  gst_object_unref (element);
}
GST_END_TEST;

static Suite *
cuda_memory_suite (void)
{
  Suite *suite = suite_create ("cuda-memory");
  TCase *frames = tcase_create ("frames"), *element = tcase_create ("element");
  TCase *failures = tcase_create ("failures");

  suite_add_tcase (suite, frames);
  tcase_add_test (frames, test_in_place);
  tcase_add_test (frames, test_downloaded);
  tcase_add_test (frames, test_refused);
  suite_add_tcase (suite, element);
  tcase_add_test (element, test_cuda_engine);
  tcase_add_test (element, test_same_answers);
  tcase_add_test (element, test_other_engine);
  suite_add_tcase (suite, failures);
  tcase_add_loop_test (failures, test_loss_falls_back, 0, G_N_ELEMENTS (losses));
  tcase_add_loop_test (failures, test_loss_is_an_error, 0, G_N_ELEMENTS (losses));
  tcase_add_test (failures, test_two_gpus);
  tcase_add_loop_test (failures, test_refusal_of_auto, 0, G_N_ELEMENTS (refusals));
  tcase_add_loop_test (failures, test_refusal_of_cuda, 0, G_N_ELEMENTS (refusals) + 1);
  return suite;
}

GST_CHECK_MAIN (cuda_memory)
