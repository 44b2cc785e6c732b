"""Three labelled sets, written for this test: each gives texts of a right and of a wrong
kind, and how to ask about them.

A set is {name, query, items, truth, labels}: the prompt is query + item, the labels are
the two answers as texts of one token, and truth says of each item whether the first is
right.
"""

GOOD_REVIEWS = [
    "The kettle boils in two minutes and hardly makes a sound. Best purchase this year.",
    "Lovely little cafe, the staff remembered my order and the cake was fresh.",
    "I finished the book in one weekend and have already lent it to three friends.",
    "Battery lasts two full days, and the screen is bright even in the sun.",
    "Comfortable from the first step. I walked ten miles in these boots without a blister.",
    "The guide was funny and patient, and our children still talk about the tour.",
    "Setup took five minutes and it has worked without a hitch since March.",
    "Warm, light and well made. I would buy this jacket again.",
    "A quiet room, a soft bed and a wonderful breakfast. We will be back.",
    "The second season is even better than the first, great acting throughout.",
    "Excellent knife: sharp, balanced and easy to clean.",
    "My grandmother learned to use this phone in an afternoon. Very happy with it.",
    "Delicious noodles, generous portions and fair prices.",
    "The app saved me hours of work this month, and support answered within minutes.",
    "Beautiful sound for such a small speaker, I am impressed.",
    "The plants arrived healthy and well packed, and all of them are growing.",
    "Our dentist was gentle and explained every step. Highly recommended.",
    "This vacuum picks up everything, even the dog's hair on the stairs.",
    "A moving film with a perfect ending. I cried and I laughed.",
    "The bike is a joy to ride, smooth gears and strong brakes.",
    "Great value for the price, and the delivery came a day early.",
    "The soup was rich and comforting, exactly what we needed after the hike.",
    "Clear instructions, solid materials, and the shelf looks fantastic.",
    "I sleep so much better on this pillow. Thank you!",
    "The museum was superb, we stayed for hours and loved every room.",
    "Fast, friendly and honest mechanics. They fixed my car for less than the estimate.",
    "The printer is quiet and the colours are gorgeous.",
    "What a charming game, my whole family plays it every Sunday.",
    "The course was well paced and the teacher was brilliant.",
    "Perfect fit and the fabric feels wonderful on the skin.",
]

BAD_REVIEWS = [
    "The kettle leaked on the first day and the shop refused a refund.",
    "Rude waiter, cold food and a bill with two mistakes. Never again.",
    "I gave up on the book after fifty pages, dull and badly written.",
    "The battery dies before lunch and the screen flickers.",
    "These boots fell apart after a week. A complete waste of money.",
    "The guide was late, bored and could not answer a single question.",
    "Nothing but error messages since I installed it. Terrible software.",
    "The zip broke the first time I wore this jacket.",
    "The room smelled of smoke and the shower did not work. Awful stay.",
    "A boring film with a silly plot and wooden acting.",
    "The knife was blunt out of the box and started to rust within days.",
    "This phone crashes every hour. I regret buying it.",
    "Overcooked noodles, tiny portions and far too expensive.",
    "Support ignored my messages for three weeks. Horrible service.",
    "The speaker crackles at any volume, very disappointing.",
    "Half of the plants were dead on arrival and the rest soon followed.",
    "The dentist was rough and careless, and my tooth still hurts.",
    "Weak suction, and it broke after a month. Do not buy this vacuum.",
    "The worst ending I have ever seen. Two hours of my life wasted.",
    "The brakes squeal and the chain falls off constantly. Dangerous bike.",
    "It arrived three weeks late, and the box was crushed.",
    "The soup tasted of dishwater and we all felt sick afterwards.",
    "Missing screws, useless instructions and a shelf that wobbles.",
    "This pillow is hard as a brick and gave me neck pain.",
    "Crowded, dirty and overpriced. The museum was a disappointment.",
    "They charged me twice and the car still makes the same noise.",
    "The printer jams on every page. I am sending it back.",
    "A broken, unfinished game, full of bugs and adverts.",
    "The teacher read from slides for two hours. I learned nothing.",
    "The seams tore after one wash and the colour ran everywhere.",
]

SPAM = [
    "Congratulations! You have won a free cruise. Call now to claim your prize.",
    "URGENT: your account will be closed. Click this link to verify your password.",
    "Earn 5000 dollars a week from home, no experience needed!!!",
    "FREE ringtones! Text WIN to 80082 and get ten songs today.",
    "You have been selected for a cash reward of 2000 pounds. Reply CLAIM.",
    "Lose 20 pounds in one week with this secret pill. Order today!",
    "Final notice: your parcel is held, pay a small fee at this link to release it.",
    "Cheap watches, 90% off, limited stock, buy now!",
    "Dear winner, your email was drawn in our lottery. Send your bank details.",
    "Hot singles in your area are waiting to chat, text YES now.",
    "Get a loan in five minutes, bad credit welcome, apply at once!",
    "Your phone has a virus! Download our cleaner immediately.",
    "Double your bitcoin in 24 hours, guaranteed. Deposit now.",
    "You are owed a tax refund of 812 pounds. Click here to collect it.",
    "Win a brand new phone! Just answer one question and pay shipping.",
    "Exclusive offer for you: 100 free spins at our casino, sign up tonight.",
    "Congratulations, you qualify for a free holiday voucher. Call 0900 55555.",
    "Act now! Only 3 places left in our millionaire training.",
    "Claim your free gift card worth 500 dollars before midnight!",
    "Increase your followers by 10,000 overnight, click to buy.",
    "Your subscription has expired, update your card details here to avoid charges.",
    "Cheap medicines without prescription, fast shipping, 80% discount.",
    "Text STOP to end or WIN to enter our weekly prize draw worth 10,000.",
    "I am a prince and need your help to transfer 12 million dollars.",
    "Limited time: buy one, get two free! Visit our site now.",
    "You have 1 unread voice message. Dial 0906 123456 at 1.50 a minute.",
    "Work from home and get rich fast. Reply for the free starter kit.",
    "Your computer is infected, call our support line immediately.",
    "Guaranteed winner! You have a 1000 cash prize waiting, call 09061701461.",
    "Get the hottest deals on your mobile, text DEAL to 87121 for free entry.",
]

HAM = [
    "Hi, are we still on for lunch tomorrow at noon?",
    "I left the keys under the blue pot, see you later.",
    "Can you send me the notes from Tuesday's meeting?",
    "Running ten minutes late, sorry, start without me.",
    "Happy birthday! I hope you have a lovely day with the family.",
    "The train was cancelled, so I will take the bus.",
    "Did you remember to feed the cat this morning?",
    "Thanks for dinner last night, the pie was great.",
    "I attached the draft of chapter two, let me know what you think.",
    "Mum says to bring a coat, it is cold up here.",
    "The meeting moved to room 204, same time.",
    "Could you pick up milk and bread on the way home?",
    "I finished the report and put it in the shared folder.",
    "Grandpa is out of hospital and feeling much better.",
    "Are you coming to football practice on Thursday?",
    "Sorry I missed your call, I was in class. I will ring you at six.",
    "The plumber is coming between nine and eleven tomorrow.",
    "I really enjoyed the concert, thank you for the ticket.",
    "Please review my pull request when you have a minute.",
    "We are out of printer paper again, can you order some?",
    "See you at the station, platform four.",
    "The baby slept through the night for the first time!",
    "I think I left my scarf at your place, have you seen it?",
    "Dinner is in the oven, take it out at half past seven.",
    "Our flight lands at 18:40, no need to pick us up.",
    "How did the exam go? I kept my fingers crossed.",
    "The neighbours asked if we could water their plants next week.",
    "Let's move the call to Friday, I am still waiting for the figures.",
    "I am at the library, second floor, next to the window.",
    "Good morning, the invoice for March is attached, as we discussed.",
]

# question, a passage that answers it, and one that is about something near it and does
# not
PASSAGES = [
    ("How tall is Mount Everest?", "Mount Everest rises 8,849 metres above the sea.", "Climbers on high mountains carry bottled oxygen and warm clothes."),
    ("What is the capital of Japan?", "Tokyo has been the capital of Japan since 1868.", "Rice and fish are common in Japanese cooking."),
    ("Who wrote Hamlet?", "Hamlet was written by William Shakespeare around 1600.", "The theatre on the river was rebuilt in the 1990s."),
    ("At what temperature does water boil?", "At sea level water boils at 100 degrees Celsius.", "Two thirds of the planet are covered by water."),
    ("How many legs does a spider have?", "Spiders have eight legs, insects have six.", "Many people are afraid of crawling animals in the house."),
    ("Which planet is the largest?", "Jupiter is the largest planet of the solar system.", "The telescope was carried into orbit by a rocket."),
    ("When did the Second World War end?", "The Second World War ended in September 1945.", "The museum shows uniforms and letters of soldiers."),
    ("What do bees make?", "Bees make honey and wax in their hive.", "The garden is full of roses and lavender in June."),
    ("How long is a marathon?", "A marathon is 42.195 kilometres long.", "The runners gathered in the square before dawn."),
    ("What is the chemical symbol of gold?", "Gold has the chemical symbol Au, from the Latin aurum.", "The ring was sold at an auction in Geneva."),
    ("Who painted the Mona Lisa?", "The Mona Lisa was painted by Leonardo da Vinci.", "Visitors may not use a flash in the gallery."),
    ("Which language is spoken in Brazil?", "The people of Brazil speak Portuguese.", "The beach is crowded on summer weekends."),
    ("How many days has a leap year?", "A leap year has 366 days, one more than others.", "The calendar on the wall shows pictures of boats."),
    ("What gas do plants take in?", "Plants take in carbon dioxide and give off oxygen.", "The seeds should be kept in a dry place."),
    ("Where do penguins live?", "Penguins live on the coasts of the southern half of the earth.", "The zoo opens at nine and closes at six."),
    ("What is the fastest land animal?", "The cheetah is the fastest animal on land.", "The guard counts the visitors of the park."),
    ("Who invented the telephone?", "Alexander Graham Bell was granted the first patent of the telephone in 1876.", "The shop on the corner repairs cameras."),
    ("How many strings has a violin?", "A violin has four strings, tuned in fifths.", "The orchestra will travel by train this year."),
    ("What is the currency of Switzerland?", "In Switzerland people pay in Swiss francs.", "The village lies above a narrow lake."),
    ("Which ocean is the deepest?", "The Pacific is the deepest ocean, nearly 11 kilometres in the Mariana Trench.", "The ferry was late because of the fog."),
]


# what the query shows the model, so that it knows the form
SHOWN_MESSAGES = [
    ("I will be home at eight.", "ham"), ("Win a free car now, call this number!", "spam"), ("Can you bring the book on Monday?", "ham"),
    ("Your account is locked, click here at once.", "spam"), ("Cheap loans, apply now!", "spam"), ("The meeting is at three.", "ham"),
    ("Thanks, see you tomorrow.", "ham"),
]  # fmt: skip
SHOWN_PASSAGES = [
    ("Where is the Eiffel Tower?", "The Eiffel Tower stands in Paris.", 1), ("Who discovered penicillin?", "The train was late again on Monday.", 0),
    ("How many wheels has a car?", "The baker opens at six.", 0), ("Who discovered penicillin?", "Alexander Fleming discovered penicillin in 1928.", 1),
    ("What do cows eat?", "The hotel has a pool on the roof.", 0), ("What do cows eat?", "Cows eat grass.", 1),
]  # fmt: skip


def sets() -> list[dict]:
    return [
        {
            "name": "reviews", "labels": [" positive", " negative"],
            "query": "Is the review positive or negative?\n\nReview: I love this lamp, it is bright and pretty.\nSentiment: positive\n\n"
                     "Review: The lamp broke after a day.\nSentiment: negative\n\nReview: ",
            "items": [text + "\nSentiment:" for text in GOOD_REVIEWS + BAD_REVIEWS],
            "truth": [True] * len(GOOD_REVIEWS) + [False] * len(BAD_REVIEWS),
        },
        {
            "name": "spam", "labels": [" spam", " ham"],
            "query": "Label each message as spam or ham.\n\n" + "".join(f"Message: {text}\nLabel: {kind}\n\n" for text, kind in SHOWN_MESSAGES) + "Message: ",
            "items": [text + "\nLabel:" for text in SPAM + HAM],
            "truth": [True] * len(SPAM) + [False] * len(HAM),
        },
        {
            "name": "passages", "labels": ["1", "0"],
            "query": "Does the passage answer the question? 1 = yes, 0 = no.\n\n" + "".join(f"{q} | {p} => {answers}\n" for q, p, answers in SHOWN_PASSAGES),
            "items": [f"{q} | {p} => " for q, good, bad in PASSAGES for p in (good, bad)],
            "truth": [True, False] * len(PASSAGES),
        },
    ]  # fmt: skip
