"""Where gradients come from.

plain     one backward pass, sums only: level none
hooks     unit gradients by the hooks of Opacus
"""
