"""A seeded demo corpus in the layout of the real ones, so that the pipeline runs without them."""
