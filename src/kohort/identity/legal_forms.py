"""Legal forms of companies and how they are written: facts of the registers, as ISO 20275 lists them."""

from __future__ import annotations

from typing import NamedTuple


class LegalForm(NamedTuple):
    """A form, where it exists, and its spellings as folded words without points and strokes."""

    code: str
    countries: str
    spellings: tuple[str, ...]


FORMS = (
    LegalForm("bv", "NL BE", ("bv", "besloten vennootschap", "besloten vennootschap met beperkte aansprakelijkheid")),
    LegalForm("nv", "NL BE", ("nv", "naamloze vennootschap", "nv sa", "sa nv")),
    LegalForm("vof", "NL BE", ("vof", "vennootschap onder firma", "snc vof", "vof snc")),
    LegalForm("cv", "NL BE", ("cv", "commanditaire vennootschap", "comm v")),
    LegalForm("bvba", "BE", ("bvba", "ebvba", "sprl", "bvba sprl", "sprl bvba")),
    LegalForm("cvba", "BE", ("cvba", "scrl", "cvba scrl", "scrl cvba")),
    LegalForm("vzw", "BE", ("vzw", "asbl", "vzw asbl", "asbl vzw")),
    LegalForm("cooperatie", "NL BE", ("cooeperatie", "cooperatie", "cooeperatieve vereniging")),
    LegalForm("ua", "NL", ("ua", "uitgesloten aansprakelijkheid")),
    LegalForm("ba", "NL", ("ba",)),
    LegalForm("wa", "NL", ("wa",)),
    LegalForm("stichting", "NL", ("stichting", "stg")),
    LegalForm("maatschap", "NL", ("maatschap",)),
    LegalForm("eenmanszaak", "NL", ("eenmanszaak",)),
    LegalForm("a/s", "DK NO", ("as", "aktieselskab", "aktieselskabet", "aksjeselskap")),
    LegalForm("aps", "DK", ("aps", "anpartsselskab", "anpartsselskabet")),
    LegalForm("ivs", "DK", ("ivs", "ivaerksaetterselskab")),
    LegalForm("i/s", "DK", ("is", "interessentskab", "interessentskabet")),
    LegalForm("k/s", "DK", ("ks", "kommanditselskab", "kommanditselskabet")),
    LegalForm("p/s", "DK", ("ps", "partnerselskab", "partnerselskabet")),
    LegalForm("amba", "DK", ("amba", "andelsselskab med begraenset ansvar")),
    LegalForm("fmba", "DK", ("fmba",)),
    LegalForm("smba", "DK", ("smba",)),
    LegalForm("gmbh", "DE AT CH", ("gmbh", "gesellschaft mit beschraenkter haftung", "gesmbh", "mbh", "ges mbh")),
    LegalForm("ggmbh", "DE", ("ggmbh",)),
    LegalForm("gmbh & co kg", "DE AT", ("gmbh co kg", "gmbh u co kg", "gmbh und co kg", "gmbh cokg", "gesmbh co kg")),
    LegalForm("gmbh & co kgaa", "DE", ("gmbh co kgaa",)),
    LegalForm("gmbh & co ohg", "DE", ("gmbh co ohg",)),
    LegalForm("ag & co kg", "DE", ("ag co kg",)),
    LegalForm("ug & co kg", "DE", ("ug co kg", "ug haftungsbeschraenkt co kg")),
    LegalForm(
        "ug",
        "DE",
        ("ug", "ug haftungsbeschraenkt", "unternehmergesellschaft haftungsbeschraenkt", "unternehmergesellschaft"),
    ),
    LegalForm("ag", "DE AT CH", ("ag", "aktiengesellschaft")),
    LegalForm("kgaa", "DE", ("kgaa", "kommanditgesellschaft auf aktien")),
    LegalForm("kg", "DE AT", ("kg", "kommanditgesellschaft")),
    LegalForm("ohg", "DE AT", ("ohg", "offene handelsgesellschaft")),
    LegalForm("gbr", "DE", ("gbr", "gesellschaft buergerlichen rechts", "egbr")),
    LegalForm(
        "ek",
        "DE AT",
        ("ek", "e k", "ekfm", "e kfm", "ekfr", "e kfr", "eu", "eingetragener kaufmann", "eingetragene kauffrau"),
    ),
    LegalForm("eg", "DE", ("eg", "eingetragene genossenschaft")),
    LegalForm("ev", "DE AT", ("ev", "e v", "eingetragener verein")),
    LegalForm("partg", "DE", ("partg", "partgmbb", "partg mbb", "partnerschaftsgesellschaft")),
    LegalForm(
        "ltd",
        "GB IE",
        ("ltd", "limited", "pvt ltd", "private limited", "pty ltd", "co ltd", "company limited", "cyf", "cyfyngedig"),
    ),
    LegalForm("plc", "GB IE", ("plc", "public limited company", "ccc")),
    LegalForm("llp", "GB US", ("llp", "limited liability partnership")),
    LegalForm("lp", "GB US", ("lp", "limited partnership")),
    LegalForm("cic", "GB", ("cic", "community interest company")),
    LegalForm("dac", "IE", ("dac", "designated activity company")),
    LegalForm("clg", "IE GB", ("clg", "company limited by guarantee")),
    LegalForm("inc", "US", ("inc", "incorporated")),
    LegalForm("corp", "US", ("corp", "corporation")),
    LegalForm("llc", "US", ("llc", "limited liability company")),
    LegalForm("ab", "SE", ("ab", "aktiebolag", "aktiebolaget", "ab publ")),
    LegalForm("hb", "SE", ("hb", "handelsbolag")),
    LegalForm("asa", "NO", ("asa", "allmennaksjeselskap")),
    LegalForm("ans", "NO", ("ans",)),
    LegalForm("oy", "FI", ("oy", "osakeyhtioe", "oy ab")),
    LegalForm("oyj", "FI", ("oyj", "oyj abp", "abp")),
    LegalForm(
        "srl", "BE IT ES RO", ("srl", "sarl", "societa a responsabilita limitata", "societe a responsabilite limitee")
    ),
    LegalForm("sa", "FR BE LU CH ES PT", ("sa", "societe anonyme", "sociedad anonima")),
    LegalForm("sas", "FR", ("sas", "sasu", "societe par actions simplifiee")),
    LegalForm("eurl", "FR", ("eurl",)),
    LegalForm("snc", "FR BE IT", ("snc", "societe en nom collectif")),
    LegalForm("spa", "IT", ("spa", "societa per azioni")),
    LegalForm("sl", "ES", ("sl", "slu", "sociedad limitada")),
    LegalForm("lda", "PT", ("lda", "limitada")),
    LegalForm("spzoo", "PL", ("spzoo", "sp zoo", "spolka z oo", "spolka z ograniczona odpowiedzialnoscia")),
    LegalForm("sro", "CZ SK", ("sro", "spol sro")),
    LegalForm("kft", "HU", ("kft",)),
    LegalForm("doo", "HR SI RS", ("doo",)),
    LegalForm("se", "EU", ("se", "societas europaea")),
    LegalForm("eeig", "EU", ("eeig", "ewiv", "eesv")),
)
"""Every form we know. One code for one form, however it is spelled; BV and NV stay two."""

IN_FRONT = frozenset({"stichting", "cooperatie", "a/s", "maatschap", "ab", "oy"})
"""Forms that also stand before the name: "Stichting X", "A/S Y", "AB Volvo"."""

_WORDS = "as is ks ps se eg ag ab ek eu ua ba wa sa sl lp ans spa"
ALSO_WORDS = frozenset(_WORDS.split())
"""Spellings that are ordinary words as well: they are a form where they are written like one ("AS", "A/S", "eG")."""
