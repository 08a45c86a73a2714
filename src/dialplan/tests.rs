//! Whole files: what they mean, where their mistakes are, and that no text makes the reader fail.

use proptest::prelude::*;

use super::exec::NoTarget;
use super::vars::tests::Variables;
use super::*;
use crate::call::Position;
use crate::config;

mod reader;

fn parse(text: &str) -> Result<Dialplan, Vec<PlanError>> {
    Dialplan::parse(&[("extensions.conf".into(), text.to_owned())])
}

fn plan(text: &str) -> Dialplan {
    parse(text).unwrap_or_else(|errors| panic!("{}", shown(&errors).join("\n")))
}

fn shown(errors: &[PlanError]) -> Vec<String> {
    errors.iter().map(ToString::to_string).collect()
}

fn errors(text: &str) -> Vec<String> {
    shown(&parse(text).expect_err(text))
}

/// `priority label App args` of every step of an extension, the arguments evaluated with no variables.
fn steps(plan: &Dialplan, context: &str, dialled: &str) -> Vec<String> {
    let extension = plan.find(context, dialled).unwrap_or_else(|| panic!("no {dialled} in {context}"));
    let label = |priority| extension.labels.iter().find(|(_, at)| *at == priority).map(|(label, _)| label.as_str());
    let text = |(priority, step): &(u32, Step)| {
        let args = step.args.piece().value(&mut Variables::default());
        format!("{priority} {} {} {args}", label(*priority).unwrap_or("-"), step.app.name())
    };
    extension.steps.iter().map(text).collect()
}

#[test]
fn s149_s150_and_s151_priorities_labels_and_bare_applications_are_read() {
    let plan = plan(
        "[a]\nexten => 100 , 1 , NoOp(one)\n   same => n,NoOp(two)\n\tsame=>n(here),NoOp(three)\nsame => n+5,NoOp(nine)\n\
         exten = 100,20(far),Answer\nexten => 200,1,Hangup()\n",
    );
    // as in Asterisk, n+5 is five after the next one
    let expected = ["1 - NoOp one", "2 - NoOp two", "3 here NoOp three", "9 - NoOp nine", "20 far Answer "];
    assert_eq!(steps(&plan, "a", "100"), expected);
    assert_eq!(plan.find("a", "100").unwrap().labelled("far"), Some(20));
}

#[test]
fn a_context_can_be_continued_and_a_later_file_replaces_whole_extensions() {
    let first = "[a]\nexten => 1,1,NoOp(old)\nsame => n,NoOp(old)\nexten => 2,1,NoOp(kept)\n[b]\nexten => 9,1,NoOp()\n\
                 [a](+)\nexten => 3,1,NoOp(more)\n";
    let second = "[a]\nexten => 1,1,NoOp(new)\n[c](+)\n";
    let files = [("one.conf".into(), first.to_owned()), ("two.conf".into(), second.to_owned())];
    let errors = Dialplan::parse(&files).unwrap_err();
    assert_eq!(shown(&errors), ["two.conf:3:2: there is no [c] above to add to"]);
    let files = [files[0].clone(), ("two.conf".into(), second.replace("[c](+)\n", ""))];
    let plan = Dialplan::parse(&files).unwrap();
    assert_eq!(steps(&plan, "a", "1"), ["1 - NoOp new"]);
    assert_eq!(steps(&plan, "a", "2"), ["1 - NoOp kept"]);
    assert_eq!(steps(&plan, "a", "3"), ["1 - NoOp more"]);
}

#[test]
fn all_mistakes_are_reported_each_with_its_line_and_column() {
    let text = "\
exten => 1,1,NoOp()
[a
[a]
exten => 100,1,Anser()
exten => 100,n,Dial(SIP/1002,30,gk)
same => n,NoOp(${CALLERID(num)
same => n,NoOp($[1 + (2)
exten => _1[2,1,NoOp()
exten => 300,x,NoOp()
#exec date
what is this
extn => 1,1,NoOp()
exten => 100,1,NoOp()
exten => 400,1,Playback(a,b)
exten => 500,1,Wait(soon)
";
    assert_eq!(
        errors(text),
        [
            "extensions.conf:1:1: this line is in no [context]",
            "extensions.conf:2:1: `[` opened here is not closed by `]` at the end of the line",
            "extensions.conf:4:16: unknown application `Anser`, did you mean `Answer`?",
            "extensions.conf:5:16: Dial: option `k` is not supported: there is no parking",
            "extensions.conf:6:16: `${` opened here is never closed",
            "extensions.conf:7:16: `$[` opened here is never closed",
            "extensions.conf:8:12: pattern `_1[2`: `[` is never closed",
            "extensions.conf:9:14: `x` is no priority (write a number from 1, n, n(label), n+5 or s)",
            "extensions.conf:10:1: `#exec` runs a program and takes its output as dialplan: that is refused (run it before, and #include its output)",
            "extensions.conf:11:1: `what is this` is no line of a dialplan (write [context], exten =>, same =>, include => or NAME=value)",
            "extensions.conf:12:1: unknown keyword `extn`, did you mean `exten`?",
            "extensions.conf:14:16: Playback: option `b` is not supported (known: noanswer, skip)",
            "extensions.conf:15:16: Wait: `soon` is no time in seconds",
        ]
    );
}

#[test]
fn s177_the_missing_bracket_of_the_documents_line_is_named_by_its_opening() {
    let error = |args: &str| errors(&format!("[a]\nexten => 1,1,{args}")).remove(0);
    assert!(error("NoOp($[${CALLERID(num)}]").ends_with(":2:18: `(` opened here is never closed"));
    assert!(error("NoOp($[${CALLERID(num)]x)").ends_with(":2:21: `${` opened here is never closed"));
    assert!(error("NoOp(${CALLERID(num})").ends_with(":2:29: `(` opened here is never closed"));
    assert!(error("NoOp(a) b").ends_with(":2:22: `b` after the closing `)`"));
    assert!(error("NoOp(a))").ends_with(":2:21: `)` closes nothing (write \\) for the character)"));
    assert!(error("Dial,SIP/1").ends_with(":2:14: `Dial`: arguments go in brackets, as in Dial(arguments)"));
}

#[test]
fn doubles_name_the_place_of_the_first() {
    let text = "[a]\nexten => 1,1(x),NoOp()\nexten => 1,1,NoOp()\nsame => n(x),NoOp()\n[b]\nsame => n,NoOp()\n";
    assert_eq!(
        errors(text),
        [
            "extensions.conf:3:10: priority 1 of 1 is already at extensions.conf:2:17",
            "extensions.conf:4:9: label `x` is already at extensions.conf:2:17",
            "extensions.conf:6:9: `same` needs an `exten` above it",
        ]
    );
}

#[test]
fn what_is_allowed_but_does_nothing_is_a_warning() {
    let plan = plan(
        "[general]\nstatic=yes\nstatc=yes\n[a]\nignorepat => 9\nexten => 1,hint,SIP/1\nautohints = yes\nswitch => Realtime\n\
              include => b\ninclude => aa\ninclude => b\nexten => 1,1,NoOp()\nexten => 2,n,NoOp(${CURL(x)})\nsame => n,VoiceMail(5)\n",
    );
    assert_eq!(
        shown(plan.warnings()),
        [
            "extensions.conf:3:1: unknown keyword `statc`, did you mean `static`?",
            "extensions.conf:7:1: `autohints` is not supported",
            "extensions.conf:8:1: `switch` is not supported: what it would find is not found",
            "extensions.conf:9:12: include of [b], which is nowhere",
            "extensions.conf:10:12: include of [aa], which is nowhere",
            "extensions.conf:11:12: [b] is already included above",
            "extensions.conf:13:12: `n of 2` here is priority 2: it counts on from 1 above",
            "extensions.conf:13:21: function `CURL` is not here (only SIP is spoken here): its value is empty",
            "extensions.conf:14:11: application `VoiceMail` is not here (voicemail is not part of this): a call that reaches it ends",
        ]
    );
}

#[test]
fn a_mistake_in_an_expression_is_a_warning_with_its_place_and_what_it_gives() {
    let text = "[globals]\nG=x$[1 +]\n[a]\nexten => 1,1,NoOp($[1 + (2])\nsame => n,Set(A=$[hello world = ${B}])\nsame => n,NoOp($[FLOR(1)])\n";
    assert_eq!(
        shown(plan(text).warnings()),
        [
            "extensions.conf:2:8: in `$[ ]`: a value is missing at the end; the whole gives 0",
            "extensions.conf:4:25: in `$[ ]`: `(` opened here is never closed; the whole gives 0",
            "extensions.conf:5:25: in `$[ ]`: two values without an operator between them (put text with blanks in \" \"); only what stands before this counts",
            "extensions.conf:6:18: in `$[ ]`: `FLOR` before `(` is no function, and gives 0, did you mean `FLOOR`?",
        ]
    );
    assert_eq!(steps(&plan(text), "a", "1"), ["1 - NoOp 0", "2 - Set A=hello", "3 - NoOp 0"]);
}

#[test]
fn goto_targets_are_found_by_number_label_and_step() {
    let plan = plan("[a]\nexten => 1,1,NoOp()\nsame => n(x),NoOp()\nsame => n,NoOp()\n[b]\nexten => _2X,1,NoOp()\n");
    let here = Position { context: "a".into(), extension: "1".into(), priority: 2 };
    let target = |parts: [&str; 3]| {
        let part = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let jump = app::Jump { context: part(parts[0]), extension: part(parts[1]), priority: parts[2].to_owned() };
        plan.reach((&here, ""), &jump).map(|position| (position.context, position.extension, position.priority))
    };
    let found = |context: &str, extension: &str, priority| Ok((context.to_owned(), extension.to_owned(), priority));
    assert_eq!(target(["", "", "1"]), found("a", "1", 1));
    assert_eq!(target(["", "", "x"]), found("a", "1", 2));
    assert_eq!(target(["", "", "+1"]), found("a", "1", 3));
    assert_eq!(target(["", "", "-1"]), found("a", "1", 1));
    assert_eq!(target(["b", "25", "1"]), found("b", "25", 1));
    for nowhere in [["", "", "9"], ["", "", "y"], ["", "", "+9"], ["", "", "-9"], ["b", "1", "1"], ["c", "1", "1"]] {
        assert!(matches!(target(nowhere), Err(NoTarget { .. })), "{nowhere:?}");
    }
}

#[test]
fn the_built_in_dialplan_reads_without_a_warning() {
    let files = [("extensions.conf".into(), config::BUILTIN_EXTENSIONS.to_owned())];
    let plan = Dialplan::parse(&files).unwrap_or_else(|errors| panic!("{}", shown(&errors).join("\n")));
    assert!(plan.warnings().is_empty());
    for number in ["1001", "1002", "1003", "600", "601", "i"] {
        assert!(plan.begins(&Query::new("internal", number)), "{number}");
    }
    assert!(!plan.begins(&Query::new("internal", "1004")));
}

#[test]
fn an_application_given_by_hand_is_checked_like_one_in_a_file() {
    let plan = Dialplan::default();
    assert!(plan.application("playback", "beep&silence/1").is_ok());
    assert!(
        matches!(plan.application("Plyback", "x"), Err(ProblemKind::UnknownApp { hint: Some(hint), .. }) if hint == "Playback")
    );
    assert!(plan.application("Dial", "SIP").is_err());
}

proptest! {
    #[test]
    fn no_text_makes_the_dialplan_reader_panic(
        text in "(\\[a\\]|exten => |same => |include => |1,1,|n,|NoOp\\(|Set\\(|Dial\\(|GotoIf\\(|_X|\\$\\{|\\$\\[|[\\])};,\n \"\\\\:?&=+é-]|;--|--;|a){0,60}",
    ) {
        if let Err(errors) = parse(&text) {
            prop_assert!(!errors.is_empty());
            prop_assert!(errors.iter().all(|error| error.span.line >= 1 && error.span.column >= 1));
        }
    }

    #[test]
    fn any_argument_that_is_read_can_be_evaluated(app in 0..app::TABLE.len(), args in "[a-z0-9${}\\[\\]():?&,=.\"\\\\ -]{0,40}") {
        let name = app::TABLE[app].name();
        if let Ok(step) = Dialplan::default().application(name, &args) {
            step.args.piece().value(&mut Variables::default());
            step.args.piece().arguments(3).iter().for_each(|piece| drop(piece.value(&mut Variables::default())));
        }
    }
}
