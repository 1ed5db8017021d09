"""Tests of update rules and schedules."""
