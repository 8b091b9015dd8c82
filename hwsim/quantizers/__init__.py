"""Real numbers to codes: number formats, multipliers, scales, activation bounds.

Every format has `bits`, `levels`, `encode(values)`, `decode(codes)`, `table_bytes` and `size_bytes(codes)`: `Uniform`,
`Levels` (made by `powers`, `codebook`, `companding` and `binary`), `BinaryBases` and `ProductCodebooks`.
"""
