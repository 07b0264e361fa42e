"""Events as tracking clients send them: bodies, fields, clocks, and what each call means here."""
