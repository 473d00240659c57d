"""The thin shared module behind the six notebooks; each room says in its first line what it knows."""
