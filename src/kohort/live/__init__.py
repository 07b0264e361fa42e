"""Events count at once: the loop from arrivals to memberships, its clock, Kafka and Spark as sources."""
