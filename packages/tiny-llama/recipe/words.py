"""The word lists that conversations are made of. The held-out lists are used by the test split only, so that a test
never meets a word of training by chance. Made-up names come from syllables (see draw.py).
"""


def listed(text):
    return [" ".join(words.split()) for words in text.split(",")]


ONSETS = "b br c ch cl d dr f fl g gr h j k kl l m n p pr qu r s sh sl st t th tr v w y z".split()
VOWELS = "a e i o u ai ea ee ia io oa ou a e i o".split()
#: The two empty codas leave a syllable open.
CODAS = "n r l s t m d k nd rt ck x th sh ng v b lm st  ".split(" ")

CITIES = listed(
    """
    Paris, London, Berlin, Madrid, Rome, Vienna, Prague, Warsaw, Lisbon, Dublin, Oslo, Stockholm, Helsinki,
    Athens, Cairo, Lagos, Nairobi, Accra, Tunis, Rabat, Tokyo, Osaka, Kyoto, Seoul, Busan, Beijing, Shanghai,
    Taipei, Hanoi, Bangkok, Manila, Jakarta, Delhi, Mumbai, Chennai, Karachi, Tehran, Baghdad, Ankara, Istanbul,
    Toronto, Montreal, Vancouver, Chicago, Boston, Seattle, Denver, Austin, Dallas, Houston, Miami, Atlanta,
    Phoenix, Portland, Detroit, New York, San Francisco, Los Angeles, San Diego, Mexico City, Buenos Aires, Rio
    de Janeiro, Bogota, Lima, Quito, Santiago, Caracas, Havana, Sydney, Melbourne, Perth, Brisbane, Auckland,
    Wellington, Cape Town, Addis Ababa, Kuala Lumpur, Hong Kong, Tel Aviv, Saint Petersburg, Geneva, Zurich,
    Munich, Hamburg, Lyon, Nice, Milan, Naples, Turin, Porto, Seville, Valencia, Leeds, Bristol, Glasgow,
    Cardiff
    """
)
HELD_OUT_CITIES = listed(
    """
    Edinburgh, Barcelona, Copenhagen, Reykjavik, Singapore, Marrakesh, Ulaanbaatar, Philadelphia, Sacramento,
    Palo Alto, Salt Lake City, Montevideo, Bratislava, Ljubljana, Adelaide, Johannesburg, Hyderabad, Manchester,
    Frankfurt, Las Vegas, Zagreb, Tbilisi, Santa Fe
    """
)
REGIONS = listed(
    """
    California, Texas, Ohio, Oregon, Maine, Nevada, Florida, Kansas, France, Spain, Italy, Japan, India, Brazil,
    Kenya, Egypt, Peru, Chile, Canada, Ontario, Germany, Norway, Poland, Ireland, CA, TX, NY, WA, UK
    """
)
HELD_OUT_REGIONS = listed("Utah, Vermont, Arizona, Portugal, Finland, Morocco, Quebec, Scotland, NJ, OR")
FIRST_NAMES = listed(
    """
    James, Mary, Robert, Linda, John, Anna, Michael, Susan, David, Karen, Thomas, Nancy, Daniel, Lisa, Paul,
    Laura, Mark, Emma, Peter, Julia, Omar, Fatima, Wei, Mei, Hiro, Yuki, Carlos, Maria, Luis, Elena, Ivan, Olga,
    Raj, Priya, Kwame, Amina, Lars, Ingrid, Pierre, Claire
    """
)
HELD_OUT_FIRST_NAMES = listed(
    """
    Benjamin, Charlotte, Mateo, Sofia, Ahmed, Leila, Viktor, Natasha, Hugo, Beatrice, Kenji, Aiko
    """
)
LAST_NAMES = listed(
    """
    Smith, Johnson, Brown, Garcia, Miller, Davis, Wilson, Moore, Taylor, Lee, Clark, Lewis, Walker, Hall, Young,
    King, Wright, Hill, Green, Adams, Baker, Nelson, Carter, Khan, Patel, Singh, Kim, Tanaka, Sato, Chen, Wang,
    Silva, Costa, Rossi, Weber, Novak, Hansen, Okafor, Mensah, Haddad
    """
)
HELD_OUT_LAST_NAMES = listed(
    """
    Fitzgerald, Nakamura, Oyelaran, Lindqvist, Castellano, Abernathy, Kowalski, Dimitriou, Whitaker, Mbeki,
    Petrov, Sorensen
    """
)
NOUNS = listed(
    """
    order, ticket, table, room, flight, hotel, invoice, payment, meeting, event, report, task, project,
    customer, account, contact, product, shipment, package, booking, reservation, appointment, reminder,
    message, email, document, photo, song, playlist, recipe, course, lesson, car, bike, train, bus, loan,
    apartment, office, desk, chair, window, door, garage, kitchen, house, boat, truck, taxi, tram, road, bridge,
    tower, farm, field, tree, flower, dog, cat, horse, doctor, nurse, teacher, student, class, exam, grade,
    school, library, letter, newspaper, magazine, chapter, page, poem, picture, painting, video, phone, laptop,
    printer, screen, cable, battery, engine, wheel, tire, machine, tool, hammer, box, bag, bottle, cup, plate,
    knife, meal, dinner, lunch, breakfast, pizza, cake, bread, coffee, tea, shirt, shoe, coat, hat, ring, watch,
    clock, key, card, coin, bill, fee, fine, tax, grant, fund, bank, shop, store, market, factory, company,
    partner, supplier, worker, driver, pilot, guest, visitor, member, friend, child, player, club, match, race,
    prize, medal, plan, idea, rule, law, case, court, vaccine, allergy, diet, muscle, file, folder, image,
    domain, website, password, token, branch, commit, refund, coupon, review, profile, forecast, price, stock,
    score, route, map, sensor, device, lamp, camera, server, database, backup, user, group, team, vote, survey,
    budget, salary, contract, license, visa, passport, parcel, menu, gift, trip, tour, museum, concert, movie,
    game, book, article, alert, timer, alarm, note
    """
)
HELD_OUT_NOUNS = listed(
    """
    thermostat, subscription, warehouse, certificate, garden, elevator, podcast, prescription, vehicle,
    donation, newsletter, greenhouse
    """
)
VERBS = listed(
    """
    get, find, book, create, cancel, send, check, update, delete, add, search, track, order, open, close, start,
    stop, schedule, rename, move, copy, share, archive, list, show, reserve, assign, approve, reject, print,
    activate, adjust, analyze, arrange, attach, block, borrow, build, buy, call, charge, claim, clean, collect,
    compare, compose, confirm, connect, count, deactivate, deliver, deploy, describe, design, disable, dispatch,
    donate, download, draft, edit, enable, estimate, examine, export, extend, file, finish, fix, forward, grade,
    hide, hire, hold, import, install, invite, join, launch, lease, load, log, mail, mark, measure, merge,
    modify, monitor, mute, note, notify, pack, paint, park, pause, pay, pick, plan, play, post, prepare,
    process, purchase, rate, read, rebook, receive, recommend, record, refill, refund, release, reload, remove,
    renew, rent, repair, repeat, replace, report, request, reset, resend, restart, restore, resume, return,
    review, save, scan, select, sell, ship, sign, sort, split, store, submit, suspend, swap, tag, test, train,
    translate, unlink, upload, validate, verify, view, wash, weigh, withdraw, wrap
    """
)
HELD_OUT_VERBS = listed("fetch, register, transfer, inspect, lock, publish")
ATTRIBUTES = listed(
    """
    status, price, owner, location, date, size, weight, color, address, total, name, type, balance, rating,
    schedule, temperature, duration, capacity, history, cost, age, amount, author, brand, brightness, category,
    code, condition, count, depth, description, discount, distance, email, fee, floor, format, height, id,
    index, label, language, length, level, limit, material, mode, model, note, number, origin, phone, position,
    power, priority, progress, quality, quantity, rank, reason, result, revenue, role, route, score, speed,
    state, stock, summary, tax, time, title, url, user, value, volume, width, year
    """
)
HELD_OUT_ATTRIBUTES = listed("deadline, manager, mileage, warranty, version")
HELD_OUT_WORDS = {
    word.lower()
    for names in (
        HELD_OUT_CITIES, HELD_OUT_REGIONS, HELD_OUT_FIRST_NAMES, HELD_OUT_LAST_NAMES, HELD_OUT_NOUNS, HELD_OUT_VERBS,
        HELD_OUT_ATTRIBUTES,
    )
    for name in names
    for word in name.split()
}  # fmt: skip
CONDITIONS = listed(
    """
    sunny, cloudy, rainy, windy, snowy, foggy, partly cloudy, mostly sunny, clear, overcast, stormy, humid
    """
)

#: Places whose region and temperature unit the model may infer.
US_PLACES = {
    "Menlo Park": "CA",
    "San Francisco": "CA",
    "Los Angeles": "CA",
    "Boston": "MA",
    "Chicago": "IL",
    "Seattle": "WA",
    "Austin": "TX",
    "Denver": "CO",
    "Miami": "FL",
    "Portland": "OR",
    "New York": "NY",
    "Houston": "TX",
}
UNIT_PAIRS = [
    ("miles", "kilometers"),
    ("pounds", "kilograms"),
    ("feet", "meters"),
    ("inches", "centimeters"),
    ("gallons", "liters"),
    ("ounces", "grams"),
    ("acres", "hectares"),
]

#: Sentence beginnings; those marked ! are held out.
PREFIXES = [""] * 80 + [
    "Hi, ",
    "Hi! ",
    "Hello, ",
    "Hello! ",
    "Hey, ",
    "Hey there, ",
    "Please tell me: ",
    "Quick question: ",
    "One question: ",
    "Question: ",
    "OK, ",
    "So, ",
    "Good morning, ",
    "I have a question. ",
    "Could you help me? ",
    "I need help: ",
    "Thanks. ",
    "Next: ",
    "And now: ",
    "Listen, ",
    "Well, ",
    "By the way, ",
    "First of all, ",
    "Also, ",
    "One more thing: ",
    "For my homework: ",
    "My task: ",
    "Good evening. ",
    "Hello there. ",
    "Dear assistant, ",
    "If you have time, ",
    "When you can, ",
    "Task: ",
    "Hello! I have a question. ",
    "Hi there! ",
    "Sorry to bother you, ",
    "Now then, ",
    "OK then: ",
    "All right, ",
    "Right, ",
    "Great. ",
    "I was thinking: ",
    "Just a question: ",
    "Can I ask something? ",
    "May I ask: ",
    "Let me ask: ",
    "Let me see. ",
    "Pardon me, ",
    "Wondering about this: ",
    "For work: ",
    "For a friend: ",
    "Something else: ",
    "Another question: ",
    "Last question: ",
    "Here is a thing: ",
    "Yo, ",
    "Dear friend, ",
    "Assistant, ",
    "Chasqui, ",
    "Thank you. ",
    "Very good. ",
    "Help! ",
    "Please help me. ",
    "Please, ",
    "Could you please help? ",
    "I am in a hurry. ",
    "A little question: ",
    "I am curious. ",
    "!Excuse me, ",
    "!Just wondering, ",
    "!Let us see. ",
]
SUFFIXES = [""] * 20 + [
    " Thanks!",
    " Thank you.",
    " Please check.",
    " I need it for work.",
    " Please be quick.",
    " Thanks in advance.",
    " I need to know.",
    " I want to be sure.",
    " Take your time.",
    " I am curious.",
    " It is for my school.",
    " It is important.",
    " That is all.",
    " Be brief.",
    " Thx!",
    " Thank you very much!",
    " Bye!",
    " Let me know.",
    " Please help.",
    " Just asking.",
    " I would really like that.",
    "!  I would like to know.",
    "! Cheers!",
]
ASKING = [
    "Can you tell me",
    "Could you tell me",
    "Do you know",
    "Please tell me",
    "Tell me",
    "I want to know",
    "I'd like to know",
    "Can you find out",
    "I need to know",
    "Find out",
    "Please find out",
    "Let me know",
    "I would like to know",
    "Would you tell me",
    "Could you find out",
    "Do you happen to know",
    "Can you say",
    "Can I ask you",
    "May I ask",
    "Help me find out",
    "I was asked",
    "I have to find out",
    "I must know",
    "I am wondering",
    "I was wondering",
    "Are you able to tell me",
    "Are you able to find out",
    "Is it possible to find out",
    "Could you say",
    "Could you check",
    "Can you check",
    "Can you look up",
    "Could you please tell me",
    "Can you please tell me",
    "Do you perhaps know",
    "Please say",
    "Please check",
    "Look up",
    "I have to know",
    "We need to know",
    "We want to know",
    "I am curious",
    "I have no idea",
    "Have you any idea",
    "You surely know",
    "Help me see",
    "I would love to know",
    "Somebody wants to know",
    "!Any idea",
    "!Would you find out",
]
SYSTEM_TEXTS = [
    "You are a helpful assistant.",
    "You are a helpful Assistant.",
    "You are an expert assistant.",
    "You are a careful agent. Use tools when needed.",
    "You are a friendly assistant. Answer briefly.",
    "",
    "",
    "You are a concise research agent.",
    "You are a helpful assistant with tool calling capabilities.",
    "Answer the questions of the user. Use the tools you have.",
    "You are a helpful assistant with tool calling capabilities. When you receive a tool call "
    "response, use the output to format an answer to the original user question.",
    "Be brief and precise.",
    "You help customers of our shop.",
    "You are an agent. Think about which tool fits, call it, then answer.",
    "!You are a polite and exact agent that works with tools.",
    "!Help the user as well as you can.",
]
