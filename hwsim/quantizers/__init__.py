"""Real numbers to codes: multipliers, scales, activation bounds."""
