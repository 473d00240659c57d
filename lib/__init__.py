"""The thin library behind the notebooks; the first line of each room says what it knows."""
