"""What is said of it: no room here knows Keras."""
