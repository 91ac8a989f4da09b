use proptest::prelude::*;

use super::*;

type Whole = (Vec<u8>, usize, Machine);

/// The compact text of the value at the start of `text`, and where it ends.
fn read(text: &[u8], piece: usize) -> Result<Whole, (usize, Option<Wrong>)> {
    let (mut machine, mut compact, mut taken) = (Machine::new(), Vec::new(), 0);
    for bytes in text.chunks(piece) {
        match machine.feed(bytes, |text| compact.extend_from_slice(text)) {
            Ok(Fed::More) => taken += bytes.len(),
            Ok(Fed::End(count)) => return Ok((compact, taken + count, machine)),
            Err((count, wrong)) => return Err((taken + count, Some(wrong))),
        }
    }
    if machine.may_end() { Ok((compact, taken, machine)) } else { Err((taken, None)) }
}

#[test]
fn what_is_wrong_is_found_where_it_is() {
    for (text, at, wrong) in [
        ("[1,]", 3, Some(Wrong::Unexpected)),
        (r#"{"a":1,}"#, 7, Some(Wrong::Unexpected)),
        (r#"{"a" 1}"#, 5, Some(Wrong::Unexpected)),
        ("{1:2}", 1, Some(Wrong::Unexpected)),
        ("[1}", 2, Some(Wrong::Unexpected)),
        ("[01]", 2, Some(Wrong::Unexpected)),
        ("[1.]", 3, Some(Wrong::Unexpected)),
        ("[-]", 2, Some(Wrong::Unexpected)),
        ("nul ", 3, Some(Wrong::Unexpected)),
        ("\"a\nb\"", 2, Some(Wrong::Control)),
        (r#""a\x""#, 3, Some(Wrong::Escape)),
        (r#""\u00g0""#, 5, Some(Wrong::Escape)),
        ("[[1", 3, None),
        ("\"abc", 4, None),
        ("", 0, None),
        ("1e", 2, None),
    ] {
        for piece in 1..=text.len().max(1) {
            assert_eq!(read(text.as_bytes(), piece).unwrap_err(), (at, wrong), "{text} by {piece}");
        }
    }
}

#[test]
fn what_lies_too_deep_is_passed_over_to_its_end() {
    for (depth, is_too_deep) in [(DEPTH, false), (DEPTH + 1, true), (100 * DEPTH, true)] {
        let inside = r#"{"a]}": ["\"]", "\\", {}, 1]}"#;
        let inside = if is_too_deep { inside } else { "" };
        let value = format!("{}{inside}{}", "[".repeat(depth), "]".repeat(depth));
        let after = format!("{value}, 1");
        for piece in [1, 7, 10_000] {
            let (compact, end, machine) = read(after.as_bytes(), piece).unwrap();
            assert_eq!((end, machine.is_too_deep()), (value.len(), is_too_deep), "{depth} by {piece}");
            assert_eq!(compact.len(), value.len() - inside.matches(' ').count());
            assert!(machine.open.capacity() <= 2 * DEPTH);
        }
        let cut = value.get(..value.len() - 1).unwrap();
        assert_eq!(read(cut.as_bytes(), 7).unwrap_err(), (cut.len(), None));
    }
    // What is told apart is as strict as ever, also after it.
    let wrong = format!("{}{}}}", "[".repeat(DEPTH + 2), "]".repeat(2));
    assert_eq!(read(wrong.as_bytes(), 7).unwrap_err(), (DEPTH + 4, Some(Wrong::Unexpected)));
}

#[test]
fn half_a_character_is_noticed() {
    for (text, half) in [
        (r#""\ud83d\ude00""#, false),
        (r#""\ud83d""#, true),
        (r#""\ude00""#, true),
        (r#""\ud83d \ude00""#, true),
        (r#""\ud83d\n""#, true),
        (r#""\ud83d\ud83d\ude00""#, true),
        (r#""\ude00\ud83d""#, true),
    ] {
        let (_, _, machine) = read(text.as_bytes(), 1).unwrap();
        assert_eq!(machine.has_half_character(), half, "{text}");
        assert_eq!(serde_json::from_str::<String>(text).is_err(), half, "{text}");
    }
}

/// Text that is often JSON, and often nearly.
fn json_like() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        Just("[".to_owned()),
        Just("]".to_owned()),
        Just("{".to_owned()),
        Just("}".to_owned()),
        Just(",".to_owned()),
        Just(":".to_owned()),
        Just(" ".to_owned()),
        Just("\n".to_owned()),
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        Just("-".to_owned()),
        Just("\"".to_owned()),
        Just("\\".to_owned()),
        "-?(0|[1-9][0-9]{0,3})([.][0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
        "[0-9.eE+-]{1,4}",
        any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap()),
        Just(r#""\u00e9\ud83d\ude00\n""#.to_owned()),
    ];
    proptest::collection::vec(token, 0..12).prop_map(|tokens| tokens.concat())
}

fn value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            proptest::collection::hash_map(any::<String>(), inner, 0..6)
                .prop_map(|entries| serde_json::Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn agrees_with_serde_json_on_what_is_json(text in json_like(), piece in 1_usize..9) {
        let theirs: Result<serde::de::IgnoredAny, _> = serde_json::from_str(&text);
        let ours = read(text.as_bytes(), piece);
        let whole = ours.is_ok_and(|(_, end, _)| text.as_bytes()[end..].iter().all(|byte| is_space(*byte)));
        prop_assert_eq!(whole, theirs.is_ok());
    }

    #[test]
    fn makes_a_value_compact(value in value(), pretty in any::<bool>(), piece in 1_usize..33) {
        let compact = serde_json::to_string(&value).unwrap();
        let given = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { compact.clone() };
        let (ours, end, _) = read(given.as_bytes(), piece).unwrap();
        prop_assert_eq!(String::from_utf8(ours).unwrap(), compact);
        prop_assert_eq!(end, given.len());
    }

    #[test]
    fn knows_the_decoded_length(text in any::<String>(), escaped in any::<bool>(), piece in 1_usize..9) {
        let units = text.encode_utf16();
        let raw = if escaped {
            format!("\"{}\"", units.map(|unit| format!("\\u{unit:04x}")).collect::<String>())
        } else {
            serde_json::to_string(&text).unwrap()
        };
        let (_, _, machine) = read(raw.as_bytes(), piece).unwrap();
        let decoded = raw.len() as u64 - 2 - machine.shrinks_by_bytes();
        prop_assert_eq!(decoded, text.len() as u64);
        prop_assert!(!machine.has_half_character());
    }
}
