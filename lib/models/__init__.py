"""Networks and classifiers: how they are built, trained, kept and asked."""
