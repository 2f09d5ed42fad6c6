"""The words that the titles and texts of a company are made of."""


def _listed(words: str) -> tuple[str, ...]:
    return tuple(words.split())


FIRST_NAMES = _listed("""
Ada Aisha Alan Alma Amir Anja Anton Barbara Bence Bianca Boris Carla Carlos Chen Clara Daniel Darja David Diego
Dorothy Edgar Eduardo Elena Elif Emil Emma Erik Esther Fatima Felix Fiona Frances Frida Gabriel Grace Greta Hanna
Hassan Hedy Helena Hiro Hugo Ida Igor Ines Ingrid Irina Isaac Ivan Jana Jonas Joan Julia Jun Kaan Karen Katherine
Kenji Klara Kofi Lars Laura Leila Leo Lena Lin Linus Lotte Luca Lucia Maja Malik Margaret Maria Marta Mateo Mei
Mika Milan Mina Mona Nadia Naomi Nils Nina Noah Nora Olga Omar Oskar Pablo Paula Pavel Petra Priya Radia Rafael
Ravi Rosa Ruth Samira Sara Selma Shafi Simon Sofia Sven Tariq Teresa Theo Tilda Tomas Uma Vera Viktor Wanda Yara
Yusuf Zoe
""")

LAST_NAMES = _listed("""
Abbasi Adeyemi Almeida Andersson Bakker Banerjee Barros Bauer Becker Berger Bianchi Boateng Borg Brandt Byron Castro
Cohen Costa Dahl Demir Diaz Dietrich Dubois Eriksen Fernandez Fischer Fontaine Fraser Garcia Goldberg Gruber Haddad
Hamilton Hansen Hartmann Hopper Horvat Huang Ibrahim Ito Ivanova Jansen Jensen Johnson Kaiser Kaplan Keller Khan Kim
Klein Kovacs Kowalski Kraus Kumar Lang Larsen Lehmann Lind Lopez Lovelace Maier Marino Martin Mensah Meyer Moreau
Moretti Nagy Nakamura Navarro Nguyen Nielsen Novak Okafor Olsen Ozturk Patel Pereira Perlman Petrov Popescu Quist
Ramos Reyes Ricci Romano Rossi Sato Schmitt Schneider Silva Singh Sokolov Sommer Suzuki Tanaka Thompson Torres
Turing Varga Vogel Walter Weber Wolf Yilmaz Zimmermann
""")

VERBS = (
    "Archive",
    "Book",
    "Check",
    "Clean up",
    "Compare offers for",
    "Describe",
    "Discuss",
    "Document",
    "Estimate",
    "Finish",
    "Fix",
    "Hand over",
    "Improve",
    "Install",
    "Label",
    "Measure",
    "Migrate",
    "Move",
    "Order",
    "Plan",
    "Prepare",
    "Present",
    "Renew",
    "Repair",
    "Replace",
    "Review",
    "Simplify",
    "Sort out",
    "Test",
    "Translate",
    "Update",
    "Write up",
)

THINGS = (
    "the TLS certificate",
    "the backup server",
    "the onboarding guide",
    "the label printer",
    "the price list",
    "the supplier contract",
    "the fire extinguishers",
    "the meeting room display",
    "the delivery notes",
    "the staging database",
    "the holiday calendar",
    "the release notes",
    "the network cabinet",
    "the travel expenses",
    "the customer survey",
    "the coffee machine",
    "the spare parts",
    "the login page",
    "the monthly report",
    "the access cards",
    "the forklift",
    "the licence renewals",
    "the privacy notice",
    "the warehouse shelves",
    "the phone system",
    "the load test",
    "the job advertisement",
    "the alarm rota",
    "the audit trail",
    "the company bicycles",
    "the DNS records",
    "the first-aid kits",
    "the mobile app",
    "the newsletter",
    "the payment reminders",
    "the sensor firmware",
    "the style guide",
    "the training plan",
    "the VPN gateway",
    "the window seals",
)

CONTEXTS = (
    "",
    "",
    "",
    "",
    " for the Hamburg office",
    " for the new colleagues",
    " for the Lisbon team",
    " before the audit",
    " before the holidays",
    " after the move",
    " after the last incident",
    " with the supplier",
    " with the works council",
    " in building C",
    " in both data centres",
    " for the trade fair",
    " of last quarter",
    " on the third floor",
)

SENTENCES = (
    "Ask {name} first, who did it last time.",
    "The old one stays until the new one works.",
    "See the notes of Tuesday's meeting.",
    "It must not cost more than last year.",
    "{name} has the key.",
    "Two people, half a day.",
    "Nothing of this may be visible to customers.",
    "The invoice goes to accounting, with the cost centre on it.",
    "If it takes longer than a day, say so.",
    "The supplier answers e-mails only on Mondays.",
    "Please take photographs before and after.",
    "This came up in the audit and needs an answer in writing.",
    "{name} wants to learn how it is done.",
    "The checklist is in the shared folder.",
    "Not urgent, but everybody trips over it.",
    "Afterwards, tell the front desk.",
)

POST_TITLES = (
    "An update on {thing}",
    "Half way",
    "Waiting for the supplier",
    "Who has experience with {thing}?",
    "Done, with one surprise",
    "A question about {thing}",
    "New date",
    "What we learned",
    "Please have a look",
    "Delayed until next week",
)

POST_SENTENCES = (
    "The first half is done, and it was easier than we thought.",
    "{name} found a better way, which I have written down below.",
    "The parts arrive on Thursday; until then nothing happens here.",
    "I have tested it twice, and it works.",
    "Two open questions remain: who pays, and who maintains it.",
    "Thanks to {name} for coming in on short notice.",
    "It turns out that {thing} had never been documented.",
    "If nobody objects, I shall close this on Friday.",
    "We should do the same for the other site.",
    "Photographs are in the shared folder.",
)

PROJECT_ADJECTIVES = _listed("""
Bright Calm Central Clear Common Digital Early Fast Fresh Global Green Joint Lean Local Modern New Northern Open Quiet
Safe Second Shared Simple Smart Southern Steady
""")

PROJECT_NOUNS = _listed("""
Accounts Archive Assembly Billing Campus Catalogue Dispatch Energy Fleet Frontdesk Greenhouse Harbour Intake Kitchen
Laboratory Library Logistics Metering Network Onboarding Platform Press Quality Recruiting Rollout Security Storefront
Studio Support Tracking Training Warehouse Workshop
""")

ITEMS = (
    ("Laptop", "LAP", 1149),
    ("Monitor", "MON", 289),
    ("Docking station", "DOC", 179),
    ("Headset", "HEA", 99),
    ("Label printer", "PRI", 349),
    ("Barcode scanner", "SCA", 159),
    ("Desk", "DES", 499),
    ("Chair", "CHA", 389),
    ("Access card", "CAR", 12),
    ("Licence", "LIC", 240),
    ("Sensor", "SEN", 75),
    ("Toolbox", "TOO", 130),
    ("Bicycle", "BIC", 899),
    ("Spare part", "SPA", 23),
    ("Server", "SRV", 4200),
    ("Training course", "TRA", 650),
)
MAKERS = ("Almar", "Bolt & Sons", "Corvus", "Delfin", "Ekvator", "Fennel", "Gamma", "Hestia", "Ibex", "Juniper Hill")
