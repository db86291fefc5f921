# SPDX-License-Identifier: Apache-2.0
"""Tests of training/: python -m unittest discover -s training/tests -t training"""
