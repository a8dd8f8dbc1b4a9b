"""Chemical elements: which symbols there are, and what an atom's name or mass says where none is written."""

SYMBOLS = tuple(
    (
        "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr "
        "Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm "
        "Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No "
        "Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og"
    ).split()
)
_KNOWN = frozenset(SYMBOLS)
_MASSES = {  # of what force fields have parameters for, in daltons
    **{"H": 1.008, "Li": 6.94, "B": 10.81, "C": 12.011, "N": 14.007, "O": 15.999, "F": 18.998},
    **{"Na": 22.990, "Mg": 24.305, "Al": 26.982, "Si": 28.086, "P": 30.974, "S": 32.06},
    **{"Cl": 35.45, "K": 39.098, "Ca": 40.078, "Mn": 54.938, "Fe": 55.845, "Co": 58.933},
    **{"Ni": 58.693, "Cu": 63.546, "Zn": 65.38, "Se": 78.971, "Br": 79.904, "Rb": 85.468},
    **{"Mo": 95.95, "Cd": 112.41, "I": 126.90, "Cs": 132.91, "Ba": 137.33},
}
_TOLERANCE = 0.06  # daltons: Co and Ni are 0.24 apart
AMINO_ACIDS = frozenset(
    "ALA ARG ASN ASP CYS GLN GLU GLY HIS ILE LEU LYS MET PHE PRO SER THR TRP TYR VAL MSE SEC PYL "
    "HSD HSE HSP HID HIE HIP CYX ASH GLH LYN ACE NME".split()
)
_IONS = {"SOD": "Na", "POT": "K", "CLA": "Cl", "CES": "Cs", "CAL": "Ca", "LIT": "Li", "RUB": "Rb"}
# a carbon, hydrogen or nitrogen more often than the metal
_AMBIGUOUS = frozenset("CA CD CE HG NA".split())
# the other way round, so that a name one column off is still the metal: in the Chemical Component Dictionary
# FE is iron 446 times and fluorine 6 times, PT platinum 60 times and phosphorus once, BR always bromine
_PLAIN = frozenset("BE BI BR DY FE IN IR KR PR PT SI TA TB TE TH TI TL YB".split())
NUCLEOTIDES = frozenset("A C G U T DA DC DG DT DU ADE CYT GUA THY URA".split())


def symbol(text: str) -> str | None:
    """The symbol that a text such as "CL", "c", "17" or "C12" stands for; None if it is none.

    Deuterium and tritium count as hydrogen.

    Example:
        >>> symbol("CL"), symbol("6"), symbol("C12"), symbol("D"), symbol("Qq")
        ('Cl', 'C', 'C', 'H', None)
    """
    text = text.strip()
    if text.isascii() and text.isdecimal():
        number = int(text)
        return SYMBOLS[number - 1] if 1 <= number <= len(SYMBOLS) else None
    letters = text.rstrip("0123456789+-").capitalize()
    return "H" if letters in ("D", "T") else letters if letters in _KNOWN else None


def symbol_of_name(name: str, residue: str | None = None) -> str | None:
    """The symbol that the name of an atom says; None if it says none.

    In amino acids and nucleotides it is the first letter. Elsewhere the four columns of a PDB file tell
    " CL ", a carbon, from "CL  ", chlorine; what is more often a carbon, such as CA, and a name without its
    blanks are taken for the longer symbol only if the residue has that name too, as ions have it: FE, FE2,
    3CO. FE and its like stand for hardly anything else, and are the metal in any column.

    Args:
        name: with its blanks where it comes from a PDB file.
        residue: the name of its residue.
    """
    bare = name.strip().lstrip("0123456789'\"*")
    if not bare or not bare[0].isalpha():
        return None
    if residue in AMINO_ACIDS or residue in NUCLEOTIDES:
        return "Se" if bare.startswith("SE") and residue in ("MSE", "SEC") else symbol(bare[0])
    if bare in _IONS and residue == bare:
        return _IONS[bare]
    letters = "".join(_leading_letters(bare))
    two = letters[:2].capitalize()
    if len(two) == 2 and two in _KNOWN:
        ion = residue is not None and symbol(residue.lstrip("0123456789")) == two
        plain = letters in _PLAIN
        if ion or plain or (len(name) == 4 and name[:2].isalpha() and not _short(name, letters)):
            return two
    return symbol(letters[0]) or (two if two in _KNOWN else None)


def _short(name: str, letters: str) -> bool:
    """Whether a name that begins in the first of its columns may be of the symbol of one letter all the same.

    "HG11" and "CD10" have no other column to begin in; "CA  " is a habit of some programs.
    """
    if name[-1] != " ":
        return letters[0] == "H" or letters in _AMBIGUOUS
    return name.strip() in _AMBIGUOUS


def symbol_of_mass(mass: float) -> str | None:
    """The element of that mass in daltons; None if there is none within 0.06."""
    nearest = min(_MASSES, key=lambda s: abs(_MASSES[s] - mass))
    return nearest if abs(_MASSES[nearest] - mass) <= _TOLERANCE else None


def _leading_letters(text: str) -> list[str]:
    found = []
    for letter in text:
        if not letter.isalpha():
            break
        found.append(letter)
    return found
