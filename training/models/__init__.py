# SPDX-License-Identifier: Apache-2.0
"""The two networks as PyTorch modules whose parameter names and shapes are those of the official checkpoints."""
