"""A version goes live, and what it answers is watched, proven and taken apart."""
