"""Worker of `zernike`, run where mahotas is: python SCRIPT given.npz found.npz settings."""

import json
import sys
import time

import numpy as np
from mahotas.features import zernike_moments


def main() -> None:
    given, found, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    with np.load(given) as stored:
        images, centres = stored["images"], stored["centres"]
    begin = time.perf_counter()
    moments = [
        zernike_moments(image, settings["radius"], degree=settings["degree"], cm=tuple(centre))
        for image, centre in zip(images, centres, strict=True)
    ]
    np.savez(found, moments=np.stack(moments), seconds=time.perf_counter() - begin)


if __name__ == "__main__":
    main()
