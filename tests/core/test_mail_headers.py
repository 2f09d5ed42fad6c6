"""Headers of messages: whatever people write arrives as it was written, and names nobody else."""

import email
import email.policy
import random
import re
from email.header import decode_header, make_header
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any

import pytest

from core.mail.compose import compose
from core.mail.headers import POLICY, mailbox
from tests.support import mail_reader

ADDRESS = "grace@example.com"

# One case for each thing that some reader or writer takes for something else.
HARD = [
    "menü prüfen anrufen menü für",
    "Task 227 created: menü prüfen anrufen menü für",
    "a" * 30 + ", victim@example.org, " + "b" * 27,
    "aaaa, victim@example.org, bbb",
    "Ada <victim@example.org>",
    '"Ada" <victim@example.org>',
    '", victim@example.org, "',
    "Ada (victim@example.org)",
    "undisclosed: victim@example.org;",
    "=?utf-8?B?SGVsbG8=?=",
    "=?utf-8?q?victim=40example=2Eorg=2C?= <x@example.org>",
    "about =?iso-8859-1?Q?a?= and =?us-ascii?Q?b?=",
    "=?utf-8?B?SGVsbG8=?==?utf-8?B?SGVsbG8=?=",
    "=?",
    "?=",
    "=??=",
    "a =?utf-8?B?",
    "J. Doe",
    "O'Brien",
    "\\",
    'back\\"slash',
    '"',
    '""',
    "@",
    ",",
    ";",
    ":",
    "<>",
    "two  spaces",
    "no\u00a0break",
    "\u200bzero\u200dwidth",
    "\u202eright to left",
    "👩‍👩‍👧‍👦" * 5,
    "日本語" * 26,
    "Ж" * 80,
    "x" * 80,
    "ä" + "x" * 79,
    "word " * 15 + "ä",
    "a ä a ä a ä a ä a ä a ä a ä a ä a ä a ä",
    "é" * 20 + " " + "e" * 59,
    "Bérénice-Amélie Rosemonde Dûbois-Bénard",
    "From someone",
    ".",
    "-- ",
]

_WORDS = re.split(
    " ",
    "menü prüfen anrufen für Straße Überraschungsbesuch Donaudampfschifffahrtsgesellschaftskapitänsmütze "
    "the invoice of a customer, victim@example.org <victim@example.org> (comment) \"quoted\" 'too' group:; \\ "
    "=?utf-8?B?SGVsbG8=?= =?utf-8?q?x?= =? ?= =??= Dr. J.R. & @ , . : ; [a] {b} #1 50% a=b "
    "Ελληνικά Кириллица עברית العربية हिन्दी ไทย 日本語 한국어 中文 ქართული Հայերեն አማርኛ Ⅷ € 👩‍💻 🇩🇪 é \u200b \u202e ",
)
_RANGES = [(0x20, 0x7E), (0xA1, 0x24F), (0x370, 0x5FF), (0x600, 0x1FFF), (0x2010, 0x2027), (0x3040, 0xD7FF)]
_RANGES += [(0xE000, 0xFFFD), (0x1F300, 0x1FAFF), (0x20000, 0x2A6DF)]


def written(chance: random.Random, longest: int) -> str:
    """Return a text as somebody may write it: words, any characters, or both."""
    length, parts = chance.randint(1, longest), ""
    while len(parts) < length:
        if chance.random() < 0.7:
            parts += chance.choice(_WORDS) + chance.choice(["", " ", " ", " ", "  "])
        else:
            low, high = chance.choice(_RANGES)
            parts += "".join(chr(chance.randint(low, high)) for _ in range(chance.randint(1, 8)))
    return parts[:length].strip() or "x"


def sent(subject: str, name: str) -> bytes:
    message = EmailMessage(policy=POLICY)
    message["Subject"] = subject
    message["To"] = mailbox(ADDRESS, name)
    return message.as_bytes()


def check(raw: bytes, subject: str, name: str) -> None:
    """Require of a strict reader and of Python's old one that they see just this."""
    strict = mail_reader.headers(raw)
    assert mail_reader.text(strict["subject"]) == subject
    assert mail_reader.mailbox(strict["to"]) == (name, ADDRESS)

    # The old parser keeps the line breaks of the folding.
    old = {header: value.replace("\r\n", "") for header, value in email.message_from_bytes(raw).items()}
    assert str(make_header(decode_header(old["Subject"]))) == subject
    shown, address = parseaddr(old["To"])
    assert (str(make_header(decode_header(shown))), address) == (name, ADDRESS)


def check_with_new_parser(raw: bytes, subject: str, name: str) -> None:
    """Require the same of Python's new reader, which takes longer."""
    new: Any = email.message_from_bytes(raw, policy=email.policy.default)
    assert (str(new["Subject"]), new["Subject"].defects) == (subject, ())
    (recipient,) = new["To"].addresses
    assert (recipient.addr_spec, new["To"].defects) == (ADDRESS, ())
    # Several released versions show a space between two encoded words of a name, whoever wrote them.
    assert "".join(recipient.display_name.split()) == "".join(name.split())


@pytest.mark.parametrize("text", HARD)
def test_what_others_take_for_something_else_arrives_as_it_was_written(text: str) -> None:
    text = text.strip()
    raw = sent(text, text)
    check(raw, text, text)
    check_with_new_parser(raw, text, text)


@pytest.mark.slow
def test_any_title_and_any_name_arrive_as_they_were_written() -> None:
    chance = random.Random(2047)
    for number in range(5_000):
        subject, name = written(chance, 190), written(chance, 80)
        raw = sent(subject, name)
        check(raw, subject, name)
        if number % 5 == 0:
            check_with_new_parser(raw, subject, name)


@pytest.mark.parametrize("name", ["Ada", "J. Doe", "Bérénice-Amélie Rosemonde Dûbois-Bénard", "José", "日本語"])
def test_a_usual_name_is_right_in_readers_that_show_spaces_between_encoded_words(name: str) -> None:
    new: Any = email.message_from_bytes(sent("x", name), policy=email.policy.default)
    assert new["To"].addresses[0].display_name == name


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Ada Lovelace", b"To: Ada Lovelace <grace@example.com>"),
        ("J. Doe", b'To: "J. Doe" <grace@example.com>'),
        ("", b"To: grace@example.com"),
    ],
)
def test_a_plain_name_stays_readable(name: str, line: bytes) -> None:
    assert line in sent("x", name).split(b"\r\n")


@pytest.mark.parametrize("local", ["=?utf-8?q?victim=40example=2Eorg=2C?=", "a+b", "o'brien", "a" * 64])
def test_envelope_and_header_name_one_address(local: str) -> None:
    message = EmailMessage(policy=POLICY)
    message["To"] = mailbox(f"{local}@example.com", "Käse, " * 10)
    assert message["To"].addresses[0].addr_spec == f"{local}@example.com"
    assert mail_reader.mailbox(mail_reader.headers(message.as_bytes())["to"])[1] == f"{local}@example.com"


class Reader:
    username = "ada"


@pytest.mark.parametrize("name", HARD)
def test_no_line_of_a_message_is_longer_than_it_must_be(name: str) -> None:
    url = "https://tasks.example.com/api/v1/notifications/unsubscribe/" + "token" * 20
    raw = compose(
        "welcome",
        sender=f"{mailbox('tasks@long-name-of-a-company.example.com', 'Käse & Wurst, die Aufgaben der Firma')}",
        to=ADDRESS,
        display_name=name,
        message_id="0" * 36,
        unsubscribe_url=url,
        user=Reader(),
    ).as_bytes()
    long = [line for line in raw.split(b"\r\n") if len(line) > 78]
    assert [line for line in long if line != f"List-Unsubscribe: <{url}>".encode()] == []
    assert mail_reader.mailbox(mail_reader.headers(raw)["from"])[0] == "Käse & Wurst, die Aufgaben der Firma"


def test_nothing_folds_a_header_again() -> None:
    """Any writer of a message, such as smtplib with its own policy, takes the lines as they are."""
    message = EmailMessage(policy=POLICY)
    message["Subject"] = "menü prüfen anrufen menü für " * 5
    message["To"] = Address("a" * 30 + ", victim@example.org, " + "b" * 27, "grace", "example.com")
    lines = message.as_bytes()
    for policy in (email.policy.SMTP, email.policy.SMTP.clone(max_line_length=40), email.policy.SMTPUTF8):
        assert message.as_bytes(policy=policy) == lines
