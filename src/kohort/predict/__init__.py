"""What comes next: training sets from the past, models compared and checked, probabilities that mean what they say."""
