//! Three words that two people compare: the one at a node that asks to join, and the admin who lets it in.

use millpond_core::NodeKey;

use super::InviteId;

/// What both sides show: each works them out from both keys and the invite's secret, and nothing of them is sent. Who
/// has got hold of the invite has another key, and so, but for one in sixteen million, other words.
pub(crate) fn joiner_words(invite: InviteId, issuer: NodeKey, joiner: NodeKey) -> String {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    for part in [invite.as_bytes(), issuer.as_bytes(), joiner.as_bytes()] {
        hasher.update(part);
    }
    let hash = hasher.finalize();
    let words = hash.as_bytes()[..3].iter().map(|byte| WORDS[usize::from(*byte)]);
    words.collect::<Vec<_>>().join("-")
}

/// Whether a person has typed these words, in whatever case and however parted.
pub(crate) fn are_words(typed: &str, words: &str) -> bool {
    let parts = typed.split([' ', '-', ',']).filter(|part| !part.is_empty());
    let parts: Vec<String> = parts.map(str::to_ascii_lowercase).collect();
    parts.join("-") == words
}

/// Changed only with what is hashed: nodes of two versions would show different words.
const CONTEXT: &str = "millpond 2026-11-29 words of a node that asks to join";

/// Plain, short, and told apart by their first four letters.
const WORDS: [&str; 256] = [
    "acorn", "album", "alley", "amber", "anchor", "apple", "apron", "arrow", "atlas", "autumn",
    "badge", "bagel", "bamboo", "banjo", "barrel", "basil", "basket", "beach", "beaver", "bench",
    "berry", "blanket", "bottle", "branch", "bread", "bridge", "bronze", "bucket", "button",
    "cabin", "cactus", "camel", "candle", "canoe", "canvas", "carpet", "carrot", "castle", "cedar",
    "cherry", "chess", "circus", "cliff", "clover", "cobalt", "coffee", "comet", "copper", "coral",
    "cotton", "crayon", "cricket", "crystal", "daisy", "dance", "desert", "diamond", "dolphin",
    "domino", "donkey", "dragon", "drum", "duck", "dune", "eagle", "earth", "echo", "eclipse",
    "elbow", "ember", "fabric", "falcon", "feather", "fern", "ferry", "fiddle", "finch", "flame",
    "flute", "forest", "fossil", "fountain", "fox", "fridge", "frost", "galaxy", "garden",
    "garlic", "ginger", "giraffe", "glove", "goblet", "gold", "goose", "granite", "grape",
    "guitar", "gull", "hammer", "harbor", "harp", "hazel", "helmet", "honey", "iceberg", "igloo",
    "indigo", "insect", "island", "ivory", "ivy", "jacket", "jaguar", "jasmine", "jelly", "jewel",
    "jungle", "juniper", "kayak", "kettle", "kitten", "kiwi", "koala", "ladder", "lagoon", "lamp",
    "lantern", "lemon", "lettuce", "lily", "lion", "lizard", "lobster", "lotus", "magnet", "mango",
    "maple", "marble", "market", "meadow", "melon", "mirror", "monkey", "moon", "mosaic", "motor",
    "mountain", "muffin", "museum", "music", "napkin", "needle", "nest", "noodle", "nutmeg",
    "oasis", "ocean", "olive", "onion", "opera", "orange", "orchid", "otter", "oven", "owl",
    "oyster", "paddle", "palace", "panda", "paper", "parrot", "pasta", "peach", "pebble", "pencil",
    "pepper", "piano", "pigeon", "pillow", "pilot", "planet", "plaza", "plum", "pocket", "pony",
    "potato", "puddle", "puppet", "purple", "quartz", "quiet", "quilt", "rabbit", "radio", "raven",
    "ribbon", "river", "robin", "rocket", "rose", "ruby", "saddle", "salmon", "sandal", "saturn",
    "scarf", "shadow", "silver", "singer", "snow", "spider", "spoon", "squid", "statue", "stone",
    "summer", "sunset", "swan", "table", "teapot", "temple", "thunder", "ticket", "tiger",
    "timber", "toast", "tomato", "tower", "trumpet", "tulip", "tunnel", "turtle", "umbrella",
    "valley", "velvet", "vessel", "village", "violin", "volcano", "waffle", "wagon", "walnut",
    "walrus", "whale", "wheat", "willow", "window", "winter", "wizard", "wolf", "yacht", "yellow",
    "yogurt", "zebra", "zero", "zipper",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_short_and_told_apart_by_four_letters() {
        let starts: std::collections::BTreeSet<&str> =
            WORDS.iter().map(|word| word.get(..4).unwrap_or(word)).collect();
        assert_eq!(starts.len(), WORDS.len());
        assert!(WORDS.is_sorted());
        for word in WORDS {
            let is_plain = word.bytes().all(|byte| byte.is_ascii_lowercase());
            assert!(is_plain && (3..=8).contains(&word.len()), "{word}");
        }
    }

    /// Both nodes work them out, perhaps by different versions: they stay as they are.
    #[test]
    fn the_words_follow_from_both_keys_and_the_secret() {
        let key = |byte| NodeKey::from_bytes([byte; 32]);
        let words = |secret, issuer, joiner| {
            joiner_words(InviteId::of(&[secret; 16]), key(issuer), key(joiner))
        };
        assert_eq!(words(1, 2, 3), "kayak-garden-toast");
        let others = [words(9, 2, 3), words(1, 9, 3), words(1, 2, 9), words(1, 3, 2)];
        assert!(others.iter().all(|other| *other != words(1, 2, 3)), "{others:?}");
    }

    #[test]
    fn words_may_be_typed_as_they_are_read_out() {
        for typed in ["amber-otter-lamp", "Amber otter  lamp", " amber, otter, LAMP"] {
            assert!(are_words(typed, "amber-otter-lamp"), "{typed}");
        }
        for typed in ["", "amber", "amber-otter", "amber-lamp-otter", "amberotterlamp"] {
            assert!(!are_words(typed, "amber-otter-lamp"), "{typed}");
        }
    }
}
