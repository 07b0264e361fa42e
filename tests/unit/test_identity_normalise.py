"""Identifiers in one form, held against independent readers and against the spellings that people really use."""

import itertools
import random
import unicodedata
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kohort.errors import WrongUsage
from kohort.identity import births, companies, junk, letters, mail, names, phone, places
from kohort.identity.reading import Read, column

# -- e-mail ------------------------------------------------------------------------------------------------------------


def test_a_plain_address_is_what_the_validator_says() -> None:
    validator = pytest.importorskip("email_validator", reason="the extra `identity` is not installed")
    letters_ = "abcdefghij0123456789._%+-"
    chance = random.Random(1)
    for _ in range(3000):
        name = "".join(chance.choices(letters_, k=chance.randint(1, 12)))
        domain = "".join(chance.choices("ab1-.", k=chance.randint(1, 8))) + chance.choice(
            [".nl", ".co.uk", ".com", ".x"]
        )
        text = f"{name}@{domain}"
        try:
            expected = validator.validate_email(text, check_deliverability=False).normalized.lower()
        except validator.EmailNotValidError:
            expected = None
        said = mail.email(text.upper())
        assert said.value == expected or said.problem == "junk", text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" Ann@Shop.NL ", "ann@shop.nl"),
        ("Ann de Vries <ann@shop.nl>", "ann@shop.nl"),
        ("mailto:ann@shop.nl", "ann@shop.nl"),
        ("søren@købmand.dk", "søren@købmand.dk"),
        ("søren@xn--kbmand-bya.dk", "søren@købmand.dk"),
        ("ann@shop", None),
        ("ann@@shop.nl", None),
        ("ann.@shop.nl", None),
        ("ann", None),
    ],
)
def test_an_address_has_one_form(text: str, expected: str | None) -> None:
    pytest.importorskip("email_validator", reason="the extra `identity` is not installed")
    said = mail.email(text)
    assert said == Read(expected) if expected else said.problem == "unreadable"


@pytest.mark.parametrize(
    "text",
    ["test@test.com", "noreply@shop.nl", "none@none.com", "x@example.org", "n/a", "geen", "-", "a@shop.invalid", "xxx"],
)
def test_an_address_typed_to_get_past_the_field_is_junk(text: str) -> None:
    pytest.importorskip("email_validator", reason="the extra `identity` is not installed")
    assert mail.email(text) == Read(None, "junk")


def test_dots_and_plus_lead_to_one_mailbox_only_where_asked() -> None:
    assert mail.email("A.B+x@googlemail.com").value == "a.b+x@googlemail.com"
    assert mail.email("A.B+x@googlemail.com", one_mailbox=True).value == "ab@gmail.com"
    assert mail.email("a.b+x@shop.nl", one_mailbox=True).value == "a.b@shop.nl"


# -- telephone ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("region", ["NL", "DK", "DE", "GB", "BE", "SE", "NO", "FR", "US", "IT"])
def test_a_number_is_what_the_library_of_numbers_says(region: str) -> None:
    library = pytest.importorskip("phonenumbers", reason="the extra `identity` is not installed")
    chance = random.Random(region)
    example = str(library.example_number_for_type(region, library.PhoneNumberType.FIXED_LINE).national_number)
    prefixes = ["", "0", f"+{library.country_code_for_region(region)}", f"00{library.country_code_for_region(region)} "]
    read = 0
    for _ in range(600):
        national = example[: chance.randint(0, 6)]
        national += "".join(
            chance.choices("0123456789", k=chance.randint(len(example) - 1, len(example) + 2) - len(national))
        )
        text = chance.choice(prefixes) + national
        text = "".join(
            c + (chance.choice(" -") if n > 3 and chance.random() < 0.2 else "") for n, c in enumerate(text)
        ).strip(" -")
        said = phone.phone(text, region=region)
        if said.problem == "junk":
            continue
        dialled = "+" + text.removeprefix("00") if text.startswith("00") else text
        try:
            number = library.parse(dialled, region)
            valid = library.is_valid_number(number)
        except library.NumberParseException:
            valid = False
        expected = library.format_number(number, library.PhoneNumberFormat.E164) if valid else None
        assert said.value == expected, text
        read += said.value is not None
    assert read > 50


@pytest.mark.parametrize(
    "text", ["000000", "0000000000", "0612345678", "123456789", "1111111111", "n/a", "+31 6 00000000"]
)
def test_idle_digits_are_junk(text: str) -> None:
    pytest.importorskip("phonenumbers", reason="the extra `identity` is not installed")
    assert phone.phone(text, region="NL").problem == "junk"


def test_an_unknown_country_is_refused() -> None:
    pytest.importorskip("phonenumbers", reason="the extra `identity` is not installed")
    with pytest.raises(WrongUsage):
        phone.phone("0612345679", region="XX")


# -- persons -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spellings", "surname", "key"),
    [
        (("Sørensen", "SØRENSEN", "Sörensen", "Soerensen"), "soerensen", "sorensen"),
        (("Müller", "MUELLER", "Mu\u0308ller"), "mueller", "muller"),
        (("van den Berg", "v.d. Berg", "v/d Berg", "vd Berg", "Berg, van den", "Van Den Berg"), "berg", "berg"),
        (("de Vries", "De Vries", "VRIES, DE", "Vries"), "vries", "vries"),
        (("van 't Hof", "van ’t Hof", "van t Hof"), "hof", "hof"),
        (("von der Heyden", "v. d. Heyden"), "heyden", "heyden"),
        (("Åkesson", "Aakesson"), "aakesson", "akesson"),
        (("Großmann", "Grossmann", "GROSSMANN"), "grossmann", "grossmann"),
        (("O'Brien", "O’Brien", "OBrien"), "obrien", "obrien"),
        (("Østergaard", "Oestergaard"), "oestergaard", "ostergard"),
        (("IJsbrand", "Ĳsbrand"), "ijsbrand", "ysbrand"),
        (("Smith-Jones", "Smith Jones"), "smith jones", "smithjones"),
        (("Du", "du"), "du", "du"),
    ],
)
def test_a_surname_is_one_however_it_is_typed(spellings: tuple[str, ...], surname: str, key: str) -> None:
    for text in spellings:
        assert names.surname(text).value == surname, text
        assert names.name_key(surname) == key


def test_a_keyboard_without_the_letter_leads_to_the_same_key() -> None:
    for proper, plain in [("Sørensen", "Sorensen"), ("Müller", "Muller"), ("Ågård", "Agard"), ("van Dijk", "van Dyk")]:
        assert names.name_key(names.surname(proper).value or "") == names.name_key(names.surname(plain).value or "")
    assert names.name_key("vandenberghe") == names.name_key(names.surname("van den Berghe").value or "")


@pytest.mark.parametrize(
    ("text", "given_name", "particles", "surname"),
    [
        ("Jan van den Berg", "jan", "van den", "berg"),
        ("Berg, Jan van den", "jan", "van den", "berg"),
        ("van den Berg, Jan", "jan", "van den", "berg"),
        ("Dhr. J.P. de Vries", "j p", "de", "vries"),
        ("Prof. Dr. Anna-Lena Müller", "anna lena", "", "mueller"),
        ("Frau Dr. Zita zu Guttenberg", "zita", "zu", "guttenberg"),
        ("Søren Kierkegaard", "soeren", "", "kierkegaard"),
        ("John Smith Jr.", "john", "", "smith"),
        ("Madonna", "", "", "madonna"),
        ("van Dijk", "", "van", "dijk"),
    ],
)
def test_a_full_name_is_taken_apart(text: str, given_name: str, particles: str, surname: str) -> None:
    assert names.full_name(text) == (names.Name(given_name, particles, surname), "")


def test_no_nickname_is_guessed() -> None:
    assert names.given_name("Bob").value != names.given_name("Robert").value


@given(st.text(max_size=30))
def test_folding_twice_changes_nothing_and_the_way_of_encoding_does_not_matter(text: str) -> None:
    once = letters.fold(text)
    assert once.isascii()
    assert letters.fold(once) == once
    assert letters.fold(unicodedata.normalize("NFD", unicodedata.normalize("NFC", text))) == letters.fold(
        unicodedata.normalize("NFC", text)
    )


# -- companies ---------------------------------------------------------------------------------------------------------

LEGAL_FORMS = [
    ("Acme B.V.", "bv"),
    ("Acme BV", "bv"),
    ("acme b.v", "bv"),
    ("Acme B V", "bv"),
    ("Acme N.V.", "nv"),
    ("Acme NV", "nv"),
    ("Acme NV/SA", "nv"),
    ("Acme V.O.F.", "vof"),
    ("Acme C.V.", "cv"),
    ("Acme U.A.", "ua"),
    ("Coöperatie Acme U.A.", "cooperatie ua"),
    ("Stichting Acme", "stichting"),
    ("Acme BVBA", "bvba"),
    ("Acme SRL", "srl"),
    ("Acme BV/SRL", "bv srl"),
    ("Acme A/S", "a/s"),
    ("Acme AS", "a/s"),
    ("Acme A.S.", "a/s"),
    ("Acme A.s.", "a/s"),
    ("A/S Acme", "a/s"),
    ("Acme ApS", "aps"),
    ("Acme APS", "aps"),
    ("Acme IVS", "ivs"),
    ("Acme I/S", "i/s"),
    ("Acme K/S", "k/s"),
    ("Acme P/S", "p/s"),
    ("Acme A.M.B.A.", "amba"),
    ("Acme GmbH", "gmbh"),
    ("Acme G.m.b.H.", "gmbh"),
    ("Acme Gesellschaft mit beschränkter Haftung", "gmbh"),
    ("Acme GmbH & Co. KG", "gmbh & co kg"),
    ("Acme GmbH und Co. KG", "gmbh & co kg"),
    ("Acme GmbH & Co KG", "gmbh & co kg"),
    ("Acme UG (haftungsbeschränkt)", "ug"),
    ("Acme UG", "ug"),
    ("Acme e.K.", "ek"),
    ("Acme e. K.", "ek"),
    ("Acme AG", "ag"),
    ("Acme KGaA", "kgaa"),
    ("Acme OHG", "ohg"),
    ("Acme eG", "eg"),
    ("Acme SE", "se"),
    ("Acme Ltd", "ltd"),
    ("Acme Ltd.", "ltd"),
    ("Acme Limited", "ltd"),
    ("Acme PLC", "plc"),
    ("Acme LLP", "llp"),
    ("Acme Inc", "inc"),
    ("Acme, Inc.", "inc"),
    ("Acme LLC", "llc"),
    ("Acme AB", "ab"),
    ("Acme ASA", "asa"),
    ("Acme Oyj", "oyj"),
    ("ACME A/S", "a/s"),
    ("acme as", "a/s"),
]


@pytest.mark.parametrize(("text", "form"), LEGAL_FORMS)
def test_a_legal_form_is_found_in_every_spelling(text: str, form: str) -> None:
    assert companies.company(text) == (companies.Company("acme", form), "")


@pytest.mark.parametrize(
    ("text", "name", "form"),
    [
        ("Philips BV", "philips", "bv"),
        ("Philips NV", "philips", "nv"),
        ("All There Is", "all there is", ""),
        ("Same as", "same as", ""),
        ("As Good ApS", "as good", "aps"),
        ("B.V.", "bv", ""),
        ("Jansen & Zonen B.V.", "jansen zonen", "bv"),
        ("Jansen en Zonen BV", "jansen zonen", "bv"),
        ("Møller og Søn A/S", "moeller soen", "a/s"),
        ("Ahold/Delhaize N.V.", "ahold delhaize", "nv"),
        ("The Body Shop plc", "body shop", "plc"),
        ("Müller & Söhne GmbH & Co. KG", "mueller soehne", "gmbh & co kg"),
    ],
)
def test_what_is_no_legal_form_stays_in_the_name(text: str, name: str, form: str) -> None:
    assert companies.company(text)[0] == companies.Company(name, form)


@pytest.mark.parametrize("text", ["n/a", "unbekannt", "---", "xxx"])
def test_a_company_that_is_no_answer_has_no_name(text: str) -> None:
    assert companies.company(text)[0] is None


# -- places ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("1017 AB", "NL", "1017AB"),
        ("nl-1017ab", "NL", "1017AB"),
        ("DK-2100", "DK", "2100"),
        ("D-10115", "DE", "10115"),
        ("01067", "DE", "01067"),
        ("B-1000", "BE", "1000"),
        ("sw1a 1aa", "GB", "SW1A1AA"),
        ("M1 1AE", "GB", "M11AE"),
        ("GIR 0AA", "GB", "GIR0AA"),
        ("DN55 1PT", "GB", "DN551PT"),
        ("0117 AB", "NL", None),
        ("10115", "DK", None),
        ("SW1A 1CA", "GB", None),
        ("0000", "DK", None),
        ("", "DE", None),
        ("A65 F4E2", "IE", "A65F4E2"),
    ],
)
def test_a_postcode_has_its_country_s_form(text: str, region: str, expected: str | None) -> None:
    assert places.postcode(text, region=region).value == expected


@pytest.mark.parametrize(
    ("spellings", "expected"),
    [
        (("Hauptstraße 5", "Hauptstr. 5", "HAUPTSTRASSE 5"), ("hauptstr", "5", "")),
        (("Kerkstraat 12-a", "Kerkstr. 12 A", "kerkstraat 12a"), ("kerkstr", "12", "a")),
        (("12a High Street", "12A High St.", "12 a High Street"), ("high st", "12", "a")),
        (("Nørregade 7, 2. th", "Noerregade 7 2 th"), ("noerregd", "7", "2th")),
        (("Vestergade 10",), ("vestergd", "10", "")),
        (("Prinsengracht",), ("prinsengracht", "", "")),
    ],
)
def test_a_street_line_is_taken_apart(spellings: tuple[str, ...], expected: tuple[str, str, str]) -> None:
    for text in spellings:
        assert places.address(text)[0] == places.Address(*expected), text


# -- birthdays ---------------------------------------------------------------------------------------------------------


@given(st.dates(date(1902, 1, 1), date(2024, 12, 31)))
def test_a_birthday_is_read_in_every_way_of_writing_it(day: date) -> None:
    expected = day.isoformat()
    if expected in births.PLACEHOLDERS:
        return
    for form in ("%Y-%m-%d", "%Y%m%d", "%d-%m-%Y", "%d.%m.%Y", "%d/%m/%Y", "%Y/%m/%d", "%Y-%m-%dT00:00:00"):
        assert births.birth_date(day.strftime(form)).value == expected
    assert births.birth_date(day.strftime("%m/%d/%Y"), month_first=True).value == expected
    assert births.birth_digits(expected) == expected.replace("-", "")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("1900-01-01", "junk"),
        ("01-01-1900", "junk"),
        ("1970-01-01", "junk"),
        ("9999-12-31", "junk"),
        ("00-00-0000", "junk"),
        ("0000-00-00", "junk"),
        ("unknown", "junk"),
        ("1970-02-30", "unreadable"),
        ("1970-13-01", "unreadable"),
        ("17-05-70", "unreadable"),
        ("yesterday", "unreadable"),
        ("", "missing"),
        (None, "missing"),
    ],
)
def test_a_date_that_is_no_birthday_says_why(text: str | None, problem: str) -> None:
    assert births.birth_date(text) == Read(None, problem)


def test_an_impossible_date_still_resembles_the_right_one() -> None:
    assert births.birth_digits("19701305") == "19701305"
    assert births.birth_digits("1900-01-01") is None


def test_a_date_on_every_tenth_customer_is_a_default() -> None:
    days = [f"19{50 + n % 40}-{1 + n % 12:02}-{1 + n % 28:02}" for n in range(5000)]
    assert births.crowded(days) == set()
    assert births.crowded(days + ["2000-01-01"] * 500) == {"2000-01-01"}


# -- columns -----------------------------------------------------------------------------------------------------------


def test_what_is_left_out_of_a_column_is_counted() -> None:
    found = column(["17-5-1970", "1900-01-01", None, "x", "unknown"], births.birth_date)
    assert found.values == ["1970-05-17", None, None, None, None]
    assert found.problems == {"junk": 2, "missing": 1, "unreadable": 1}


@given(st.text("0123456789", min_size=7, max_size=12))
def test_idle_digits_have_a_reason(digits: str) -> None:
    if junk.idle_digits(digits):
        tail = digits[-6:]
        steps = {int(b) - int(a) for a, b in itertools.pairwise(tail)}
        assert len(set(digits.lstrip("0"))) <= 1 or steps == {0} or steps <= {1, -9} or steps <= {-1, 9}
