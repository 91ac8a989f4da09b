use proptest::prelude::*;

use super::*;

/// The rejected events as text, and the reason for each.
#[derive(Default)]
struct Rejected {
    text: Vec<u8>,
    ends: Vec<(usize, u64, &'static str)>,
}

impl Rejects for Rejected {
    fn piece(&mut self, text: &[u8]) -> std::io::Result<()> {
        self.text.extend_from_slice(text);
        Ok(())
    }

    fn end(&mut self, event_bytes: u64, reason: &'static str) -> std::io::Result<()> {
        self.ends.push((self.text.len(), event_bytes, reason));
        Ok(())
    }
}

/// Gives what is left in reads of a few bytes.
struct Slowly(std::io::Cursor<Vec<u8>>, usize);

impl Read for Slowly {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let piece = self.1.min(buffer.len());
        self.0.read(&mut buffer[..piece])
    }
}

fn events_of(form: Form, text: &str) -> Result<(Vec<String>, Rejected), EventsError> {
    read_all(Input::of_text("events", form, text))
}

fn read_all(input: Input) -> Result<(Vec<String>, Rejected), EventsError> {
    let (mut events, mut rejected) = (Vec::new(), Rejected::default());
    let mut reader = EventReader::new(input);
    while let Some(event) = reader.next(&mut rejected)? {
        if let Event::Ready(text) = event {
            assert!(text.len() <= ENCODED_BYTES_MAX);
            events.push(serde_json::from_slice(text).unwrap());
        }
    }
    Ok((events, rejected))
}

fn problem(form: Form, text: &str) -> String {
    events_of(form, text).err().unwrap().to_string()
}

#[test]
fn texts_stay_and_everything_else_becomes_compact_json() {
    let (events, _) = events_of(
        Form::Many,
        " [ \"2 1111 eni\", \"a\\\"b\\\\\\u00e9\\n\", { \"a\" : [ 1.50 , \"x \\\" y\" ] }, null,\n-1e2,[] , \"\"]\n",
    )
    .unwrap();
    assert_eq!(events, ["2 1111 eni", "a\"b\\é\n", r#"{"a":[1.50,"x \" y"]}"#, "null", "-1e2", "[]", ""]);
    assert_eq!(events_of(Form::One, " \"one\" ").unwrap().0, ["one"]);
    assert_eq!(events_of(Form::One, "{\"a\": 1}").unwrap().0, [r#"{"a":1}"#]);
    assert!(events_of(Form::Many, " [ ] ").unwrap().0.is_empty());
}

#[test]
fn what_is_no_array_of_events_is_told_with_its_place() {
    for (form, text, message) in [
        (Form::Many, "", "not JSON: it is empty at byte 0"),
        (Form::Many, " \n", "not JSON: it is empty"),
        (Form::Many, "hello", "not JSON: unexpected character at byte 0"),
        (Form::Many, "{\"events\": []}", "does not hold an array of events but an object"),
        (Form::Many, "\"text\"", "does not hold an array of events but a text"),
        (Form::One, "[1]", "does not hold one event, an object or a text, but an array"),
        (Form::One, "17", "but a number"),
        (Form::Many, "[", "ends too early at byte 1"),
        (Form::Many, "[\"a\"", "ends too early at byte 4"),
        (Form::Many, "[\"a\",", "ends too early at byte 5"),
        (Form::Many, "[\"a", "ends too early at byte 3"),
        (Form::Many, "[12", "ends too early at byte 3"),
        (Form::Many, "[\"a\" \"b\"]", "unexpected character at byte 5"),
        (Form::Many, "[\"a\",]", "unexpected character at byte 5"),
        (Form::Many, "[,\"a\"]", "unexpected character at byte 1"),
        (Form::Many, "[\"a\"] x", "unexpected character at byte 6"),
        (Form::Many, "[\"a\nb\"]", "control character that is not escaped at byte 3"),
        (Form::Many, "[\"a\\qb\"]", "escape that JSON does not have at byte 4"),
        (Form::One, "{} {}", "unexpected character at byte 3"),
    ] {
        let problem = problem(form, text);
        assert!(problem.contains(message), "{text:?}: {problem}");
    }
    let broken = Input::of_text("events", Form::Many, b"[\"a\", \"\xff\"]".to_vec());
    let problem = read_all(broken).err().unwrap().to_string();
    assert!(problem.contains("it is not UTF-8 at byte 7"), "{problem}");
}

#[test]
fn what_the_intake_would_not_take_is_set_aside_to_the_byte() {
    let fits = "é".repeat(EVENT_BYTES_MAX / 2);
    let escaped = "\\u00e9".repeat(EVENT_BYTES_MAX / 2);
    let object = format!("{{\"a\":  \"{}\"}}", "x".repeat(EVENT_BYTES_MAX - 8));
    for (event, is_object) in [(format!("\"{fits}"), false), (format!("\"{escaped}"), false), (object, true)]
    {
        let (longest, too_long) = if is_object {
            (event.clone(), event.replacen('x', "xx", 1))
        } else {
            (format!("{event}\""), format!("{event}x\""))
        };
        let (events, rejected) =
            events_of(Form::Many, &format!("[{longest}, {too_long},\"after\"]")).unwrap();
        assert_eq!(events.len(), 2);
        assert_eq!(events[0].len(), EVENT_BYTES_MAX);
        assert_eq!(rejected.ends, [(rejected.text.len(), EVENT_BYTES_MAX as u64 + 1, "too long")]);
        let kept: String = serde_json::from_slice(&rejected.text).unwrap();
        assert_eq!(kept.len(), EVENT_BYTES_MAX + 1);
    }
    let (events, rejected) = events_of(Form::Many, r#"["a", "\ud800", "b", {"nested": "\ud800"}]"#).unwrap();
    assert_eq!(events, ["a", "b", r#"{"nested":"\ud800"}"#]);
    assert_eq!(rejected.text, br#""\ud800""#);
    assert!(rejected.ends[0].2.contains("half a character"));
}

#[test]
fn an_event_that_is_nested_too_deep_is_set_aside_alone() {
    let deep = format!("{}1{}", "[".repeat(1_001), "]".repeat(1_001));
    let (events, rejected) = events_of(Form::Many, &format!(r#"["a", {deep}, "b", [{deep}]]"#)).unwrap();
    assert_eq!(events, ["a", "b"]);
    let reasons: Vec<_> = rejected.ends.iter().map(|(_, bytes, reason)| (*bytes, *reason)).collect();
    assert_eq!(reasons, [(2_003, "nested too deep"), (2_005, "nested too deep")]);
    let (first, second) = rejected.text.split_at(rejected.ends[0].0);
    assert_eq!(serde_json::from_slice::<String>(first).unwrap(), deep);
    assert_eq!(serde_json::from_slice::<String>(second).unwrap(), format!("[{deep}]"));
}

#[test]
fn an_event_larger_than_memory_should_hold_goes_by_in_pieces() {
    let huge = format!("[\"{}\", [{}1], \"b\"]", "x".repeat(20_000_000), "1,   ".repeat(2_000_000));
    let mut rejected = Rejected::default();
    let mut reader = EventReader::new(Input::of_text("events", Form::Many, huge));
    let mut ready = 0;
    while let Some(event) = reader.next(&mut rejected).unwrap() {
        ready += usize::from(event != Event::Rejected);
        assert!(reader.scratch.capacity() <= 4 * ENCODED_BYTES_MAX);
    }
    assert_eq!(ready, 1);
    let lengths: Vec<u64> = rejected.ends.iter().map(|(_, bytes, _)| *bytes).collect();
    assert_eq!(lengths, [20_000_000, 4_000_003]);
    let (first, second) = rejected.text.split_at(rejected.ends[0].0);
    assert_eq!(serde_json::from_slice::<String>(first).unwrap().len(), 20_000_000);
    assert_eq!(serde_json::from_slice::<String>(second).unwrap().len(), 4_000_003);
}

fn element() -> impl Strategy<Value = String> {
    let text = prop_oneof![any::<String>(), "[ -~]{0,60}", "[\"\\\\\n\té]{0,9}"];
    let space = "[ \n\r\t]{0,2}";
    let value = prop_oneof![
        4 => text.prop_map(|text| serde_json::to_string(&text).unwrap()),
        1 => any::<String>().prop_map(|text| {
            format!("\"{}\"", text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect::<String>())
        }),
        1 => any::<f64>().prop_map(|number| serde_json::json!({ "a b": [number, null] }).to_string()),
        1 => any::<i32>().prop_map(|number| number.to_string()),
        1 => Just("{ \"a\" : [ true , { } ] }".to_owned()),
    ];
    (space, value, space).prop_map(|(before, value, after)| before.to_owned() + &value + &after)
}

proptest! {
    #[test]
    fn agrees_with_serde_json_however_the_file_is_cut(
        elements in proptest::collection::vec(element(), 0..12), piece in 1_usize..40, padding in 0_usize..70_000,
    ) {
        // The padding moves the array over the places where the buffer is filled again.
        let text = format!("{}[{}]", " ".repeat(padding), elements.join(","));
        let raw: Vec<&serde_json::value::RawValue> = serde_json::from_str(&text).unwrap();
        let expected: Vec<String> = raw.iter().map(|raw| {
            let value: serde_json::Value = serde_json::from_str(raw.get()).unwrap();
            // Numbers and order stay as written: only the white space between tokens goes, and these have none in texts.
            match value {
                serde_json::Value::String(text) => text,
                _ => raw.get().split_ascii_whitespace().collect::<Vec<_>>().join("").replace("\"ab\"", "\"a b\""),
            }
        }).collect();
        let reader = Slowly(std::io::Cursor::new(text.into_bytes()), piece * 97);
        let input = Input { name: "events".to_owned(), form: Form::Many, reader: Box::new(reader) };
        prop_assert_eq!(read_all(input).unwrap().0, expected);
    }
}
