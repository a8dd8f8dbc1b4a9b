"""Golden values of D_LSBD, FactorVAE, BetaVAE and IRS: measured now, stated in the literature's protocol.

A stated value from random codes comes with the spread that its unknown random numbers allow.
"""

import numpy as np

from eqvae.metrics.disentanglement.irs import interventional_robustness
from eqvae.metrics.disentanglement.lsbd import d_lsbd
from eqvae.metrics.disentanglement.lsbd_reference import d_lsbd_reference
from eqvae.metrics.disentanglement.reference_codes import reference_codes
from eqvae.metrics.disentanglement.votes import beta_vae_score, factor_vae_score

Check = tuple[str, float, float, float]  # name, measured, stated, tolerance


def golden_checks(expensive: bool = False) -> list[Check]:
    """(name, measured, stated, tolerance) of all golden values of this family.

    Args:
        expensive: votes with 10,000 and 5,000 batches rather than 3,000 and 2,000.
    """
    return [*_reference_dlsbd(), *_votes(expensive), *_irs()]


def dlsbd_results() -> dict[str, float]:
    """What D_LSBD for SE(2) must show: perfect, ellipse, frequency2_omega, constant_block, leftover."""
    angles = np.tile(2 * np.pi * np.arange(24) / 24, 8)
    objects = np.repeat(np.arange(8), 24)
    generator = np.random.default_rng(0)
    positions = generator.normal(scale=5, size=(len(angles), 2))
    se2 = np.concatenate([positions @ turn(0.4) + 3, 2 * circle(angles + objects)], axis=1)
    blocks = {"position": [0, 1], "psi1": [2, 3]}
    perfect = d_lsbd(se2, angles, blocks=blocks, positions=positions, objects=objects)
    leftover = circle(angles) + 0.9 * circle(3 * angles)
    twice = d_lsbd(circle(2 * angles), angles)
    return {
        "perfect": float(perfect["d_lsbd"]),
        "ellipse": float(d_lsbd(circle(angles) * [1, 0.1], angles)["d_lsbd"]),
        "frequency2_omega": float(twice["codes/omega"]),
        "frequency2_at_omega_1": float(twice["d_lsbd"]),
        "constant_block": float(d_lsbd(0 * circle(angles) + 1, angles)["d_lsbd"]),
        "leftover": float(d_lsbd(leftover, angles)["d_lsbd"]),
    }


def circle(angle: np.ndarray) -> np.ndarray:
    """(cos, sin), one more axis."""
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def turn(angle: float) -> np.ndarray:
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def torus_codes(size: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Codes on a regular torus of two angles, (size, size, D), whose reference D_LSBD is stated."""
    a, b = np.meshgrid(*[2 * np.pi * np.arange(size) / size] * 2, indexing="ij")
    generator = np.random.default_rng(seed)
    perfect = np.concatenate([circle(a), circle(b)], axis=-1)

    def quiet(columns: int) -> np.ndarray:
        return 0.01 * generator.normal(size=(size, size, columns))

    return {
        "perfect": perfect,
        "invertible linear mix": perfect @ generator.normal(size=(4, 4)),
        "pure noise": generator.normal(size=(size, size, 4)),
        "scalar angle code": np.concatenate([np.stack([a, b], axis=-1), quiet(2)], axis=-1),
        "cos only": np.concatenate([np.cos(a)[..., None], circle(b)], axis=-1),
        "radius modulated": np.concatenate(
            [(1 + 0.5 * np.cos(b))[..., None] * circle(a), circle(b)], axis=-1
        ),
        "noise N(0, 0.3)": perfect + 0.3 * generator.normal(size=perfect.shape),
        "ellipse 1:0.1": perfect * [1, 0.1, 1, 0.1],
        "leftovers": np.concatenate([perfect, 0.9 * circle(3 * a)], axis=-1),
        "frequency 2": np.concatenate([circle(2 * a), circle(2 * b)], axis=-1),
        "constant": np.concatenate([0 * circle(a), circle(b)], axis=-1),
        "sum entangled": np.concatenate([circle(a + b), circle(b)], axis=-1),
    }


def reference_mean(name: str, size: int, draws: int) -> float:
    """Reference D_LSBD, mean over draws of the random parts."""
    scores = [
        d_lsbd_reference(torus_codes(size, s)[name])["d_lsbd_reference"] for s in range(draws)
    ]
    return float(np.mean([float(score) for score in scores]))


def _reference_dlsbd() -> list[Check]:
    exact = [
        ("perfect", 0.0),
        ("invertible linear mix", 0.0),
        ("ellipse 1:0.1", 0.0),
        ("leftovers", 0.0),
        ("frequency 2", 0.0),
    ]
    checks = [(name, reference_mean(name, 32, 1), stated, 1e-6) for name, stated in exact]
    checks += [
        # the size of the grid is not stated; whole rounding is met at these
        ("radius modulated", reference_mean("radius modulated", 32, 1), 0.056, 5e-4),
        ("cos only", reference_mean("cos only", 24, 1), 0.374, 5e-4),
        ("pure noise", reference_mean("pure noise", 32, 10), 0.995, 0.0015),
        ("scalar angle code", reference_mean("scalar angle code", 32, 10), 0.839, 0.012),
        ("noise N(0, 0.3)", reference_mean("noise N(0, 0.3)", 24, 10), 0.141, 0.01),
    ]
    constant = d_lsbd_reference(torus_codes(32)["constant"])["d_lsbd_reference"]
    checks.append(("constant is undefined", float(constant.value is None), 1.0, 0.0))
    return [(f"dlsbd_reference/{name}", *rest) for name, *rest in checks]


def _votes(expensive: bool) -> list[Check]:
    size = {} if expensive else {"train_votes": 3_000, "test_votes": 2_000}
    checks = []
    # a fraction p of n votes has standard deviation sqrt(p (1 - p) / n): 0.009 at 0.8 and n = 2,000
    for name, factor_vae, beta_vae in (
        ("axis", 1.0, 1.0),
        ("axis_noise", 1.0, 1.0),
        ("se2", 1.0, 1.0),
        ("se2_xy45", 0.788, 0.788),
        ("se2_harmonic", 1.0, 1.0),
        ("half_turn", 1.0, 1.0),
        ("mix", 0.783, 0.978),
        ("noise", 0.202, 0.182),
    ):
        code = reference_codes(name)
        voted = float(factor_vae_score(code.codes, code.factors, **size)["factor_vae"])
        codes = [mixed_codes(seed) for seed in range(3)] if name == "mix" else [code.codes]
        told = np.mean([float(beta_vae_score(z, code.factors, **size)["beta_vae"]) for z in codes])
        spread = 0.0005 if factor_vae == 1 else 0.025
        checks.append((f"factor_vae/{name}", voted, factor_vae, spread))
        checks.append((f"beta_vae/{name}", float(told), beta_vae, spread))
    return checks


def irs_codes(name: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Reference codes, standardised; (cos, sin) as one unit of variance 1/2, as the stated values have it."""
    code = reference_codes(name)
    codes = (code.codes - code.codes.mean(axis=0)) / code.codes.std(axis=0)
    if name.startswith("se2"):
        codes[:, code.blocks["orientation"]] /= 2
    return codes, code.factors


def mixed_codes(seed: int) -> np.ndarray:
    """The codes of `irs_codes("se2")` in a random orthogonal basis.

    BetaVAE scores of entangled codes move with the basis and, through the classifier's weight decay, with the
    scale: 0.91 where (cos, sin) is standardised, 0.95 to 0.99 here.
    """
    basis, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(6, 6)))
    return irs_codes("se2")[0] @ basis


def _irs() -> list[Check]:
    checks = []
    for name, stated, tolerance in (
        ("axis", 1.0, 5e-4),
        ("se2", 1.0, 5e-4),
        ("half_turn", 1.0, 5e-4),
        ("noise", 0.376, 0.005),
        ("axis_noise", 0.564, 0.01),  # moves with the largest of 10,000 normal numbers
        ("se2_xy45", 0.726, 0.005),
        ("mix", 0.462, 0.02),  # moves with the random basis
    ):
        score = interventional_robustness(*irs_codes(name))["irs"]
        checks.append((f"irs/{name}", float(score), stated, tolerance))
    return checks


if __name__ == "__main__":
    for name, measured, stated, tolerance in golden_checks():
        verdict = "ok" if abs(measured - stated) <= tolerance else "MISSED"
        print(f"{name:42s} {measured:.4f}  stated {stated:.3f} +- {tolerance:g}  {verdict}")
    print(dlsbd_results())
