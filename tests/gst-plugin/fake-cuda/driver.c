/* What stands for NVIDIA's driver: its name.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
int fake_driver;
