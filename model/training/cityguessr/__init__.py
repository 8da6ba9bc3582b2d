# SPDX-License-Identifier: LGPL-2.1-or-later
"""CityGuessr in PyTorch: the network, its model file, conversion of checkpoints, and training."""
