"""How the models of the benchmarks are trained, beyond the defaults: what several benchmarks share."""

SPRITES = [
    "model=pose",
    "data=sprites",
    "data.source.num_images=12000",
    "data.batch_size=64",
    "data.source.radius=[9.5,10.5]",
    "data.source.noise=0.2",
    "latent.multiplicities=[4,1]",
    "model.localiser._target_=eqvae.nn.Localiser",
    "+model.likelihood.nuisances.background=0.2",
    "trainer.max_epochs=30",
]

PARTICLES = [
    "model=pose",
    "data=particles",
    "data.source.num_images=5000",
    "data.source.defocus=[1.0,2.0]",
    "data.batch_size=64",
    "data.pose.shift_scale=2.0",
    "data.pose.max_shift=4.0",
    "latent.multiplicities=[4,1]",
    "image.radius=24",
    "model.prior.position_scale=2.0",
    "model.localiser._target_=eqvae.nn.ImageCentre",
    "model.inference.reach=4.5",
    "model.inference.spacing=1.5",
    "model.passes=2",
    "+model.likelihood.nuisances.background=0.5",
    "model.likelihood.variance=0.2",  # wide at first: narrow noise freezes poses before there is a template
    "model.likelihood.rate=12",
    "optimizer.lr=2.0e-3",
]

NUCLEI = [
    "data=npz",
    "data.source.group=source",
    "data.source.mask=mask",
    "data/pose=rotated_shifted",
    "data.pose.size=72",
    "data.pose.shift_scale=2.0",
    "data.pose.max_shift=4.0",
]

GALAXIES = [
    "data=npz",
    "data.source.label=label",
    "data/pose=rotated_shifted",
    "data.pose.size=64",
    "data.pose.shift_scale=2.0",
    "data.pose.max_shift=4.0",
]

REAL = [
    "model=pose",
    "data.batch_size=128",
    "latent.multiplicities=[32,1]",
    "model.prior.position_scale=2.0",
    "image.radius=28",
    "harmonics.degree=26",
    "model.encoder.hidden=128",
    "model.decoder.hidden=128",
    # of 0.005, 0.002 and 0.001, and of widths and epochs, by the validation ELBO on galaxies, seed 0
    "model.likelihood.variance=0.001",
    "model.likelihood.learnable=false",
    "trainer.max_epochs=30",
]
