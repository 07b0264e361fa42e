"""What columns are called in exports: English, Dutch, Danish, German. Compared without case, accents and punctuation."""

from __future__ import annotations

from kohort.model.source import stored_name

_ROLE_WORDS: dict[str, tuple[str, str]] = {
    # role: (names that say it clearly, names that may mean it)
    "customer": (
        "customerid customerno customernumber customernr customer custid custno clientid clientnum clientno client "
        "userid user username memberid member membershipid personid accountid accountno account buyerid buyer contactid "
        "shopperid visitorid subscriberid guestid patientid reviewerid donorid "
        "klantid klantnummer klantnr klant relatienummer relatienr debiteurnummer debiteurnr gebruikersid gebruiker lidnummer "
        "kundeid kundenr kundenummer kunde debitornr debitornummer brugerid bruger medlemsnr medlemsnummer medlemid "
        "kundennummer kundennr kundenid debitorennummer mitgliedsnummer mitgliedid benutzerid benutzer",
        "id uniqueid recid recordid",
    ),
    "order_id": (
        "invoice invoiceno invoiceid invoicenumber invoicenr orderid orderno ordernumber ordernr order transactionid "
        "transactionno receiptid receiptno receiptnumber salesorder basketid bookingid purchaseid "
        "factuurnummer factuurnr factuur bestelnummer bestelnr bestelling ordernummer bonnummer bonnr "
        "ordrenr ordrenummer ordreid ordre fakturanr fakturanummer faktura bonnr "
        "rechnungsnummer rechnungsnr rechnung bestellnummer bestellnr bestellung auftragsnummer auftragsnr belegnummer belegnr",
        "",
    ),
    "time": (
        "invoicedate orderdate orderedat ordertime purchasedate purchasedat transactiondate transactiontime saledate "
        "saletime salesdate eventtime eventdate eventtimestamp occurredat bookingdate processedat "
        "besteldatum orderdatum factuurdatum aankoopdatum verkoopdatum "
        "ordredato fakturadato kobsdato salgsdato "
        "bestelldatum rechnungsdatum kaufdatum verkaufsdatum auftragsdatum belegdatum",
        "date datetime timestamp time ts createdat created day datum datumtijd tijd tijdstip dato tidspunkt tid zeit "
        "zeitpunkt zeitstempel",
    ),
    "product": (
        "stockcode sku productid productcode productno itemid itemno itemcode articleid articleno articlenumber contentid "
        "asin ean gtin artikelnummer artikelnr artikelcode productnummer productnr varenr varenummer vareid produktid "
        "produktnr produktnummer produktkode produktcode vendorid",
        "product item article artikel vare produkt",
    ),
    "product_name": (
        "productname productdescription itemname itemdescription articlename productnaam artikelnaam "
        "artikelomschrijving productomschrijving varenavn produktnavn varebeskrivelse produktbeskrivelse "
        "artikelbezeichnung produktname artikelname produktbezeichnung",
        "description omschrijving beskrivelse beschreibung bezeichnung producttitle",
    ),
    "category": (
        "category productcategory itemcategory productgroup categorie productcategorie productgroep rubriek kategori "
        "produktkategori varegruppe kategorie produktkategorie warengruppe",
        "department",
    ),
    "text": (
        "messagetext messagebody emailbody ticketbody ticketdescription ticketmessage reviewtext reviewbody commenttext "
        "feedbacktext berichttekst beskedtekst nachrichtentext",
        "",
    ),
    "user_agent": ("useragent httpuseragent browseragent useragentstring uastring", ""),
    "quantity": (
        "quantity qty units numberofitems itemcount pieces aantal stuks antal stk menge anzahl stuckzahl stueckzahl",
        "",
    ),
    "price": (
        "price unitprice priceperunit itemprice prijs stukprijs eenheidsprijs prijsperstuk pris stykpris enhedspris preis "
        "einzelpreis stuckpreis stueckpreis preisprostuck",
        "",
    ),
    "amount": (
        "amount linetotal lineamount totalprice totalamount total revenue turnover grossamount netamount subtotal sales "
        "amountpaid spend bedrag regelbedrag totaalbedrag totaal totaalprijs omzet belob beloeb liniebelob totalbelob "
        "omsaetning omsatning betrag zeilenbetrag gesamtbetrag gesamtpreis umsatz summe",
        "value",
    ),
    "currency": ("currency currencycode valuta munteenheid valutakode wahrung waehrung", ""),
    "line_kind": ("linekind linetype", ""),
    "event": (
        "event eventtype eventname action activity gebeurtenis actie handelse haendelse handling ereignis aktion aktivitat",
        "",
    ),
    "event_id": ("eventid messageid eventuuid", ""),
}

_IDENTITY_WORDS = {
    "email": "email emailaddress mail mailaddress customeremail useremail emailadres epost mailadresse emailadresse",
    "phone": "phone phonenumber phoneno telephone telephonenumber tel mobile mobilephone mobilenumber telefoon telefoonnummer "
    "mobiel gsm telefon telefonnummer telefonnr mobil mobilnummer handy handynummer",
    "name": "firstname lastname surname givenname familyname middlename fullname customername contactname name fname lname "
    "voornaam achternaam naam tussenvoegsel klantnaam fornavn efternavn navn kundenavn vorname nachname familienname "
    "kundenname fnamec1 fnamec2 lnamec1 lnamec2",
    "address": "address address1 address2 addressline1 addressline2 street streetaddress streetnumber streetname housenumber "
    "adres straat straatnaam huisnummer adresse vej gade vejnavn husnummer strasse hausnummer anschrift "
    "shippingaddress billingaddress deliveryaddress",
}

_POSTCODES = frozenset(
    [
        "postcode",
        "zip",
        "zipcode",
        "postalcode",
        "postnr",
        "postnummer",
        "plz",
        "postleitzahl",
        "billingzip",
        "shippingzip",
    ]
)
_OFFICIAL = frozenset(
    [
        "ssn",
        "socsecid",
        "socialsecuritynumber",
        "nationalid",
        "bsn",
        "cpr",
        "cprnr",
        "cprnummer",
        "passport",
        "passportno",
        "iban",
        "creditcard",
        "cardnumber",
        "bankaccount",
        "rekeningnummer",
        "kontonummer",
        "steuernummer",
        "taxid",
        "personnummer",
        "ip",
        "ipaddress",
        "ipadres",
        "ipadresse",
    ]
)
_BIRTH = frozenset(
    [
        "dob",
        "dateofbirth",
        "birthdate",
        "birthday",
        "geboortedatum",
        "fodselsdato",
        "fodselsdag",
        "geburtsdatum",
        "geburtstag",
    ]
)

_CLEAR = {word: role for role, (clear, _) in _ROLE_WORDS.items() for word in clear.split()}
_MAYBE = {word: role for role, (_, maybe) in _ROLE_WORDS.items() for word in maybe.split()}
_IDENTITY = {word: kind for kind, words in _IDENTITY_WORDS.items() for word in words.split()}


def key(column: str) -> str:
    """A column's name for comparing: "Customer ID", "customer_id" and "CustomerID" are one.

    Example:
        >>> key("Customer ID"), key("Größe (cm)")
        ('customerid', 'grossecm')
    """
    return stored_name(column).replace("_", "")


def role_of(column: str) -> tuple[str, bool]:
    """(role, clearly) that a column's name suggests; ("", False) for none.

    Example:
        >>> role_of("Kundennummer"), role_of("Datum"), role_of("Country")
        (('customer', True), ('time', False), ('', False))
    """
    name = key(column)
    if name in _CLEAR:
        return _CLEAR[name], True
    return _MAYBE.get(name, ""), False


def identity_of(column: str) -> str:
    """The kind of direct identifier a column's name suggests, or nothing."""
    return _IDENTITY.get(key(column), "")


def private_reason(column: str) -> str:
    """Why a column should not be taken in at all, judged by its name; empty where it may."""
    name = key(column)
    if name in _OFFICIAL:
        return "An official or technical number of a person; segments do not need it."
    if name in _BIRTH:
        return "A date of birth nearly identifies a person; bring the year or an age instead."
    return ""


def is_postcode(column: str) -> bool:
    return key(column) in _POSTCODES
