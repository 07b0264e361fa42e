"""Generated customers of four countries with known doubles: common names, families at one address, moved households,
missing birthdays, mistyped and half-filled records. For measuring how well records of one person are found."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = (
    "given_name",
    "surname",
    "birth_date",
    "email",
    "phone",
    "street",
    "house_number",
    "postcode",
    "city",
    "country",
)
"""The columns of `people`, beside `id` and `person`."""

# Surnames and first names as they are common there, the most common first. The share of the first ones follows the
# registers roughly: every twentieth Dane is a Jensen, every hundredth German a Müller.
_SURNAMES = {
    "NL": "de Jong,Jansen,de Vries,van den Berg,van Dijk,Bakker,Janssen,Visser,Smit,Meijer,de Boer,Mulder,de Groot,Bos,Vos,Peters,"
    "Hendriks,van Leeuwen,Dekker,Brouwer,de Wit,Dijkstra,Smits,de Graaf,van der Meer,van der Linden,Kok,Jacobs,de Haan,Vermeulen,"
    "van den Heuvel,van der Veen,van den Broek,de Bruijn,Schouten,van Beek,Willems,van Vliet,Hoekstra,Maas,Verhoeven,Koster",
    "DK": "Jensen,Nielsen,Hansen,Andersen,Pedersen,Christensen,Larsen,Sørensen,Rasmussen,Jørgensen,Petersen,Madsen,Kristensen,Olsen,"
    "Thomsen,Christiansen,Poulsen,Johansen,Møller,Mortensen,Knudsen,Jakobsen,Jacobsen,Mikkelsen,Olesen,Frederiksen,Laursen,"
    "Henriksen,Lund,Schmidt,Eriksen,Holm,Kristiansen,Clausen,Simonsen,Svendsen,Andreasen,Iversen,Østergaard,Jeppesen,Nygård",
    "DE": "Müller,Schmidt,Schneider,Fischer,Weber,Meyer,Wagner,Becker,Schulz,Hoffmann,Schäfer,Koch,Bauer,Richter,Klein,Wolf,Schröder,"
    "Neumann,Schwarz,Zimmermann,Braun,Krüger,Hofmann,Hartmann,Lange,Schmitt,Werner,Schmitz,Krause,Meier,Lehmann,Schmid,Schulze,"
    "Maier,Köhler,Herrmann,König,Walter,Mayer,Huber,Kaiser,Fuchs,Peters,Lang,Scholz,Möller,Weiß,Jung,Hahn,Großmann,von Berg",
    "GB": "Smith,Jones,Taylor,Brown,Williams,Wilson,Johnson,Davies,Robinson,Wright,Thompson,Evans,Walker,White,Roberts,Green,Hall,Wood,"
    "Jackson,Clarke,Patel,Khan,Lewis,James,Phillips,Mason,Mitchell,Rose,Davis,Cox,Hughes,Edwards,Turner,Cooper,Ward,Morris,"
    "Ahmed,Hill,Moore,Clark,Harris,King,Lee,O'Brien,Murphy,Scott,Young,Allen,Bennett,Shaw,Campbell,Stewart,MacDonald",
}
_TOP_SHARE = {"NL": 0.006, "DK": 0.045, "DE": 0.009, "GB": 0.012}
_GIVEN = {
    "NL": "Jan,Johannes,Maria,Anna,Peter,Hendrik,Cornelis,Willem,Pieter,Daan,Sem,Emma,Julia,Mila,Tess,Sophie,Lars,Thomas,Jeroen,"
    "Marieke,Sanne,Bram,Femke,Lotte,Ruben,Esther,Ingrid,Kees,Joost,Annelies,Wouter,Saskia,Marcel,Monique,Gerard,Truus",
    "DK": "Peter,Michael,Lars,Jens,Thomas,Henrik,Søren,Christian,Martin,Jan,Anne,Kirsten,Mette,Hanne,Helle,Anna,Susanne,Lene,Maria,"
    "Marianne,Freja,Ida,William,Noah,Oscar,Astrid,Karen,Jørgen,Bjørn,Åse,Rikke,Camilla,Niels,Ole,Birgit,Signe,Mads",
    "DE": "Peter,Michael,Thomas,Andreas,Wolfgang,Klaus,Jürgen,Günter,Stefan,Christian,Ursula,Monika,Petra,Sabine,Renate,Helga,Karin,"
    "Anna,Lena,Jan,Lukas,Leon,Mia,Emma,Hannah,Maximilian,Jörg,Käthe,Björn,Anja,Silke,Uwe,Frank,Martina,Heike,Karl-Heinz",
    "GB": "David,John,Peter,Michael,Paul,James,Andrew,Mark,Robert,Richard,Margaret,Susan,Mary,Elizabeth,Patricia,Sarah,Karen,Emma,"
    "Olivia,Amelia,Jack,Oliver,Harry,Thomas,Charlotte,Mohammed,George,William,Lucy,Helen,Christopher,Jean,Grace,Ian,Claire",
}
_CITIES = {
    "NL": "Amsterdam,Rotterdam,Den Haag,Utrecht,Eindhoven,Groningen,Tilburg,Almere,Breda,Nijmegen,Apeldoorn,Haarlem,Arnhem,Zwolle",
    "DK": "København,Aarhus,Odense,Aalborg,Esbjerg,Randers,Kolding,Horsens,Vejle,Roskilde,Herning,Silkeborg,Næstved,Viborg",
    "DE": "Berlin,Hamburg,München,Köln,Frankfurt,Stuttgart,Düsseldorf,Leipzig,Dortmund,Essen,Bremen,Dresden,Hannover,Nürnberg",
    "GB": "London,Birmingham,Leeds,Glasgow,Sheffield,Manchester,Bradford,Edinburgh,Liverpool,Bristol,Cardiff,Leicester,Coventry",
}
_STREETS = {
    "NL": "Kerk,Dorps,School,Molen,Julia,Wilhelmina,Beatrix,Nieuw,Stations,Linden,Eiken,Haven,Markt,Oranje,Prins Hendrik,Tulpen,Beuken",
    "DK": "Nørre,Vester,Øster,Sønder,Skole,Kirke,Møller,Birke,Lærke,Engs,Skov,Bøge,Havne,Stations,Parks,Strand,Linde",
    "DE": "Haupt,Schul,Garten,Bahnhof,Dorf,Berg,Birken,Linden,Kirch,Wald,Ring,Schiller,Goethe,Mozart,Rosen,Mühlen,Wiesen",
    "GB": "High,Station,Church,Park,Victoria,Green,Manor,Kings,Queens,New,Grange,North,Mill,Alexandra,Springfield,George,York",
}
_WAYS = {
    "NL": ("straat", "laan", "weg"),
    "DK": ("gade", "vej", "allé"),
    "DE": ("straße", "weg", "allee"),
    "GB": (" Street", " Road", " Lane"),
}
_MAIL = {
    "NL": ("gmail.com", "hotmail.com", "ziggo.nl", "kpnmail.nl"),
    "DK": ("gmail.com", "hotmail.com", "mail.dk", "live.dk"),
    "DE": ("gmx.de", "web.de", "gmail.com", "t-online.de"),
    "GB": ("gmail.com", "hotmail.co.uk", "btinternet.com", "yahoo.co.uk"),
}
_FIRST = "Aal,Bern,Claus,Dorn,Eng,Fal,Grün,Hart,Il,Jans,Kron,Linn,Mar,Nor,Oster,Pol,Rein,Sand,Thor,Ulr,Vang,Wester,Zand,Bre,Had,Kel"
_MIDDLE = ",en,er,ing,el,ar,um,ol,is"
_LAST = {
    "NL": "stra,sma,man,inga,horst,kamp,veld,huis,meijer,broek",
    "DK": "sen,gaard,holm,lund,bjerg,skov,toft,dal,strup,kjær",
    "DE": "mann,bach,hofer,berg,feld,stein,müller,bauer,wald,kötter",
    "GB": "ton,ley,ford,worth,field,well,son,ham,wick,bury",
}
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_PLAIN = str.maketrans("æøåäöüéß", "aoaaoues")


@dataclass(frozen=True, slots=True)
class Person:
    """One record about a person; None = not given."""

    person: int
    given_name: str | None
    surname: str | None
    birth_date: str | None
    email: str | None
    phone: str | None
    street: str | None
    house_number: str | None
    postcode: str | None
    city: str | None
    country: str


def people(persons: int, doubles: int, *, seed: int) -> pa.Table:
    """Records of customers, some of them entered more than once.

    Args:
        persons: How many people there are; each has a first record.
        doubles: How many further records of them, damaged. A quarter of the people who have any have several.
        seed: Equal seeds give equal tables.

    Returns:
        `id` (int64, in random order), `person` (int64, the truth) and `COLUMNS` (text, null = not given).
    """
    import pyarrow as pa

    world = _World(Random(seed))  # noqa: S311 - invented people, no secrets
    first = world.population(persons)
    records = first + [world.again(first[n]) for n in world.doubled(len(first), doubles)]
    world.chance.shuffle(records)
    table = {
        "id": pa.array(range(1, len(records) + 1), pa.int64()),
        "person": pa.array([r.person for r in records], pa.int64()),
    }
    table |= {name: pa.array([getattr(record, name) for record in records], pa.string()) for name in COLUMNS}
    return pa.table(table)


class _World:
    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self._mailboxes: set[str] = set()
        self._surnames = {country: self._tail(country) for country in _SURNAMES}
        self._given = {country: self._ranked(names.split(","), 0.03) for country, names in _GIVEN.items()}

    def population(self, persons: int) -> list[Person]:
        """People in households: most members share the surname and the address, some a telephone or a mailbox."""
        found: list[Person] = []
        while len(found) < persons:
            country = self.chance.choices(("NL", "DK", "DE", "GB"), (4, 2, 5, 4))[0]
            home = self._home(country)
            name, shared_phone = self._pick(self._surnames[country]), self._phone(country)
            family, shared_mail = self.chance.random() < 0.1, self._mail("fam", name, country)
            for _ in range(min(self.chance.choices((1, 2, 3, 4, 5), (38, 33, 13, 12, 4))[0], persons - len(found))):
                surname = name if self.chance.random() < 0.8 else self._pick(self._surnames[country])
                given = self._pick(self._given[country])
                number = shared_phone if self.chance.random() < 0.25 else self._phone(country)
                mail = shared_mail if family else self._mail(given, surname, country)
                person = Person(len(found), given, surname, self._birthday(), mail, number, *home, country)
                found.append(self._half_filled(person))
        return found

    def doubled(self, persons: int, doubles: int) -> list[int]:
        """Who is entered again, each time once more."""
        chosen = [self.chance.randrange(persons) for _ in range(doubles)]
        return [
            chosen[self.chance.randrange(n)] if n and self.chance.random() < 0.15 else who
            for n, who in enumerate(chosen)
        ]

    def again(self, person: Person) -> Person:
        """The same person entered once more: somewhere else, by somebody else, years later."""
        chance = self.chance
        if chance.random() < 0.18:  # moved
            home = dict(zip(("street", "house_number", "postcode", "city"), self._home(person.country), strict=True))
            person = replace(person, **home)  # type: ignore[arg-type]
            if chance.random() < 0.3:
                person = replace(person, phone=self._phone(person.country))
        if chance.random() < 0.2:
            person = replace(person, email=self._mail(person.given_name or "x", person.surname or "x", person.country))
        if chance.random() < 0.15:
            person = replace(person, phone=self._phone(person.country))
        return self._mistyped(self._half_filled(self._otherwise(person)))

    def _otherwise(self, person: Person) -> Person:
        """Written in another way: initials, no accents, capitals, short particles, other groups of digits."""
        chance = self.chance
        given, surname, phone, street = person.given_name, person.surname, person.phone, person.street
        if given and chance.random() < 0.12:
            given = f"{given[0]}."
        if chance.random() < 0.2:
            given, surname, street = (t and t.lower().translate(_PLAIN).title() for t in (given, surname, street))
        if surname and chance.random() < 0.15:
            surname = surname.replace("van den ", "v.d. ").replace("van der ", "v.d. ").replace("van ", "v. ")
        if chance.random() < 0.1:
            given, surname = given and given.upper(), surname and surname.upper()
        if chance.random() < 0.03:
            given, surname = surname, given
        if phone and chance.random() < 0.5:
            phone = phone.replace(" ", "-") if chance.random() < 0.5 else phone.replace(" ", "")
        if street and chance.random() < 0.3:
            street = (
                street.replace("straat", "str.")
                .replace("straße", "str.")
                .replace(" Street", " St")
                .replace(" Road", " Rd")
            )
        return replace(person, given_name=given, surname=surname, phone=phone, street=street)

    def _half_filled(self, person: Person) -> Person:
        """Fields left empty, or filled to get past them."""
        chance = self.chance
        changed: dict[str, str | None] = {}
        for name, share in (("birth_date", 0.22), ("email", 0.2), ("phone", 0.3), ("street", 0.06), ("postcode", 0.06)):
            if chance.random() < share:
                changed[name] = None
        if "street" in changed:
            changed |= {"house_number": None}
        if chance.random() < 0.03:
            changed["birth_date"] = chance.choice(("1900-01-01", "1970-01-01"))
        if chance.random() < 0.01:
            changed["email"] = "test@test.com"
        if chance.random() < 0.01:
            changed["phone"] = "0000000000"
        return replace(person, **changed)  # type: ignore[arg-type]

    def _mistyped(self, person: Person) -> Person:
        changed: dict[str, str | None] = {}
        for name, share in (
            ("given_name", 0.1),
            ("surname", 0.1),
            ("birth_date", 0.08),
            ("email", 0.04),
            ("phone", 0.04),
            ("street", 0.08),
            ("postcode", 0.04),
        ):
            text = getattr(person, name)
            if text and len(text) > 3 and self.chance.random() < share:
                changed[name] = self._typo(text)
        return replace(person, **changed)  # type: ignore[arg-type]

    def _typo(self, text: str) -> str:
        at = self.chance.randrange(1, len(text) - 1)
        letter = self.chance.choice("0123456789" if text[at].isdigit() else _LETTERS)
        kind = self.chance.randrange(2 if text[at].isdigit() or "-" in text else 4)
        if kind == 0:
            return text[:at] + letter + text[at + 1 :]
        if kind == 1:
            return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
        return text[:at] + text[at + 1 :] if kind == 2 else text[:at] + letter + text[at:]

    # -- what people have ------------------------------------------------------------------------------------------

    def _home(self, country: str) -> tuple[str, str, str, str]:
        chance = self.chance
        city = min(int(chance.expovariate(0.25)), 13) % len(_CITIES[country].split(","))
        street = chance.choice(_STREETS[country].split(",")) + chance.choice(_WAYS[country])
        area = chance.randrange(60)
        pair = chance.choice("ABDEFGHJ") + chance.choice("ABDEFGHJ")
        codes = {
            "NL": f"{1000 + city * 600 + area * 7} {pair}",
            "DK": f"{1000 + city * 600 + area * 7}",
            "DE": f"{10000 + city * 6000 + area * 61:05}",
            "GB": f"{'ELSGMBCDNWTHK'[city % 13]}{1 + area % 20} {1 + area % 9}{pair}",
        }
        return street, str(1 + int(chance.expovariate(0.02))), codes[country], _CITIES[country].split(",")[city]

    def _phone(self, country: str) -> str:
        number = self.chance.randrange
        return {
            "NL": f"06 {number(10_000_000, 59_999_999)}",
            "DK": f"{number(20, 31)} {number(100_000, 999_999)}",
            "DE": f"0151 {number(10_000_000, 99_999_999)}",
            "GB": f"0780{number(10)} {number(100_000, 999_999)}",
        }[country]

    def _mail(self, given: str, surname: str, country: str) -> str:
        chance = self.chance
        first, last = _mail_name(given), _mail_name(surname)
        name = chance.choice((f"{first}.{last}", f"{first[:1]}{last}", f"{first}{last}", f"{last}.{first}"))
        digits = str(chance.randrange(40, 2010)) if chance.random() < 0.7 else ""
        address = f"{name}{digits}@{chance.choice(_MAIL[country])}"
        while address in self._mailboxes:  # a mailbox has one owner
            address = f"{name}{chance.randrange(10_000)}@{chance.choice(_MAIL[country])}"
        self._mailboxes.add(address)
        return address

    def _birthday(self) -> str:
        return f"{min(2006, max(1925, int(self.chance.gauss(1974, 18))))}-{self.chance.randint(1, 12):02}-{self.chance.randint(1, 28):02}"

    def _pick(self, ranked: tuple[list[str], list[float]]) -> str:
        return self.chance.choices(ranked[0], cum_weights=ranked[1])[0]

    def _ranked(self, names: list[str], top: float) -> tuple[list[str], list[float]]:
        return names, list(accumulate(top / (1 + 0.04 * rank) for rank in range(len(names))))

    def _tail(self, country: str) -> tuple[list[str], list[float]]:
        """Common surnames with their share, and some thousand rare ones that make up the rest."""
        common = _SURNAMES[country].split(",")
        shares = [_TOP_SHARE[country] / (1 + 0.08 * rank) for rank in range(len(common))]
        rare = [a + b + c for a in _FIRST.split(",") for b in _MIDDLE.split(",") for c in _LAST[country].split(",")]
        left = max(0.1, 1 - sum(shares)) / len(rare)
        return common + rare, list(accumulate(shares + [left] * len(rare)))


def _mail_name(text: str) -> str:
    plain = (
        text.lower()
        .replace("ø", "oe")
        .replace("å", "aa")
        .replace("æ", "ae")
        .replace("ä", "ae")
        .replace("ö", "oe")
        .replace("ü", "ue")
    )
    return "".join(c for c in plain if c.isascii() and c.isalnum())
