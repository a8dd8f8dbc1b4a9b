"""Fit the prior of a model that is trained already: the command is `eqvae.cli.fit_prior`.

`eqvae fit_prior` runs the same.
"""

from eqvae.cli.fit_prior import main

if __name__ == "__main__":
    main()
