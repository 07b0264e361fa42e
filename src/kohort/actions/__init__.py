"""Acting on what happened: triggers, destinations, deliveries."""
