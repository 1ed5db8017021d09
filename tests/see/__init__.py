"""Tests of records and what is read off them."""
