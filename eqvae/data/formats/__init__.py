"""Files that hold many images: one reader for each format, found by the ending of the file's name.

| ending | format | extra |
|---|---|---|
| .mrc .mrcs .st | MRC2014 stacks | mrc |
| .tif .tiff | TIFF and OME-TIFF stacks | tiff |
| .h5 .hdf5 .hdf | HDF5 data sets | hdf5 |
| .zarr | Zarr arrays | zarr |
| .fits .fit .fts | FITS cubes | fits |
| .npy | numpy arrays | |
"""

from eqvae.data.formats.stack import ENDINGS, open_stack
from eqvae.data.formats.stored import Stored, channels_first

__all__ = ["ENDINGS", "Stored", "channels_first", "open_stack"]
