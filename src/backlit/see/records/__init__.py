"""The record of one computation: what is in it, and the ways to make one."""
