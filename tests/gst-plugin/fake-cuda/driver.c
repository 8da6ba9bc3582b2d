/* What stands for NVIDIA's driver: its name.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
__attribute__ ((visibility ("default"))) int fake_driver;
