//! How files come together: includes, templates, sections that go on, names made of variables.

use std::path::PathBuf;

use super::*;

/// The first file is asked for, the others are there to be included.
fn load(files: &[(&str, &str)]) -> Result<Dialplan, Vec<PlanError>> {
    let files: Vec<(PathBuf, String)> =
        files.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect();
    Dialplan::load(&files[..1], &Given(&files))
}

fn problems(files: &[(&str, &str)]) -> Vec<String> {
    shown(&load(files).expect_err("it is wrong"))
}

#[test]
fn included_files_are_as_if_pasted_in() {
    let plan = load(&[
        ("etc/extensions.conf", "[a]\nexten => 1,1,NoOp(one)\n#include \"more.conf\"\n same => n,NoOp(three)\n#tryinclude <gone.conf>\n#include d/*.conf\n"),
        ("etc/more.conf", " same => n,NoOp(two)\n[b]\nexten => 2,1,NoOp(b)\n"),
        ("etc/twice.conf", "same => n,NoOp(two)\n"),
        ("etc/d/2.conf", "exten => 5,1,NoOp(second)\n"),
        ("etc/d/1.conf", "exten => 4,1,NoOp(first)\n#include ../twice.conf\n"),
    ])
    .unwrap_or_else(|errors| panic!("{}", shown(&errors).join("\n")));
    // a section that an included file opens ends with the file
    assert_eq!(steps(&plan, "a", "1"), ["1 - NoOp one", "2 - NoOp two", "3 - NoOp three"]);
    assert_eq!(steps(&plan, "a", "4"), ["1 - NoOp first", "2 - NoOp two"]);
    assert_eq!(steps(&plan, "a", "5"), ["1 - NoOp second"]);
    let names: Vec<_> = plan.files().iter().map(|path| path.display().to_string()).collect();
    assert_eq!(names, ["etc/extensions.conf", "etc/more.conf", "etc/d/1.conf", "etc/d/../twice.conf", "etc/d/2.conf"]);
}

#[test]
fn what_cannot_be_included_is_told_where_it_is_asked_for() {
    assert_eq!(
        problems(&[
            (
                "a.conf",
                "#include b.conf\n[x]\n#include  gone.conf\n#include *.txt\n#exec /bin/date\n#inclde b.conf\n#include\n"
            ),
            ("b.conf", "; one\n#include ./a.conf\n"),
        ]),
        [
            "a.conf:3:11: cannot read gone.conf: entity not found",
            "a.conf:4:10: no file is named `*.txt`",
            "a.conf:5:1: `#exec` runs a program and takes its output as dialplan: that is refused (run it before, and #include its output)",
            "a.conf:6:1: unknown directive `#inclde` (write #include \"file\"; comments begin with `;`)",
            "a.conf:7:9: write #include \"file\"",
            "b.conf:2:10: ./a.conf includes itself",
        ]
    );
}

#[test]
fn includes_are_neither_deep_nor_many() {
    let deep: Vec<_> = (0..20).map(|n| (format!("{n}.conf"), format!("#include {}.conf\n", n + 1))).collect();
    let deep: Vec<_> = deep.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    assert_eq!(problems(&deep), ["9.conf:1:10: included deeper than 10 files"]);
    let wide: Vec<_> = (0..9).map(|n| (format!("{n}.conf"), format!("#include {}.conf\n", n + 1).repeat(9))).collect();
    let mut wide: Vec<_> = wide.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    wide.push(("9.conf", "; nothing"));
    assert!(problems(&wide).iter().all(|problem| problem.ends_with("more than 10000 files are included")));
}

#[test]
fn templates_give_their_lines_and_are_no_contexts() {
    let plan = plan(
        "[phone](!)\nexten => 1,1,NoOp(one)\n[polite](!,phone)\nsame => n,NoOp(thanks)\n[a](polite)\nsame => n,NoOp(own)\n\
         exten => 2,1,NoOp(two)\n[b](a)\n[c]\n[a](+)\nsame => n,NoOp(more)\n",
    );
    assert_eq!(steps(&plan, "a", "1"), ["1 - NoOp one", "2 - NoOp thanks", "3 - NoOp own"]);
    assert_eq!(steps(&plan, "a", "2"), ["1 - NoOp two", "2 - NoOp more"], "(+) goes on where the section ended");
    assert!(!plan.has_context("phone") && !plan.has_context("polite") && plan.has_context("c"));
    assert_eq!(plan.find("b", "2").map(Extension::name), Some("2"));
}

#[test]
fn wrong_headers_are_told_once() {
    assert_eq!(
        errors("[phone](!)\nexten => 1,1,Anser()\n[a](phone)\n[b](phne)\n[c](+)\n[d]x\n[phone](+)\n[e](phone)\n"),
        [
            "extensions.conf:2:14: unknown application `Anser`, did you mean `Answer`?",
            "extensions.conf:4:5: there is no [phne] above to inherit from, did you mean `phone`?",
            "extensions.conf:5:2: there is no [c] above to add to",
            "extensions.conf:6:4: `x` after a [context] is not understood (write (!), (+) or (template))",
            "extensions.conf:7:2: there is no [phone] above to add to",
        ]
    );
}

#[test]
fn templates_of_templates_end() {
    let doubled: String = (1..40).map(|n| format!("[t{n}](!,t{0},t{0})\n", n - 1)).collect();
    let errors = errors(&format!("[t0](!)\nexten => 1,1,NoOp()\nexten => 2,1,NoOp()\n{doubled}"));
    assert!(errors[0].ends_with("more than 1000000 lines come from templates"), "{}", errors[0]);
}

#[test]
fn s155_names_and_includes_may_hold_globals() {
    let plan = plan(
        "[general]\nstatic=yes\n[a]\nexten => ${OP},1,NoOp(operator)\nexten => _${PREFIX}XX,1,NoOp(p)\ninclude => ${WHERE}\n\
         [GLOBALS]\nOP = 0\nPREFIX=7\nWHERE += loc\nWHERE += al\nNINE=${PREFIX}9\n[local]\nexten => ${NINE},1,NoOp(local)\n",
    );
    assert_eq!(steps(&plan, "a", "0"), ["1 - NoOp operator"]);
    assert_eq!(steps(&plan, "a", "712"), ["1 - NoOp p"]);
    assert_eq!(steps(&plan, "a", "79"), ["1 - NoOp local"]);
}

#[test]
fn priorities_count_on_from_the_line_above() {
    let plan = plan(
        "[a]\nexten => 1,1(first),NoOp(1)\nexten => 1,s+1,NoOp(2)\nexten => 1,first+101,NoOp(102)\n same => n(l),NoOp(103)\n\
         exten => 2,1,NoOp(1)\nexten => 1,n+2,NoOp(4)\nexten => 1,10,NoOp(10)\n",
    );
    assert_eq!(
        steps(&plan, "a", "1"),
        ["1 first NoOp 1", "2 - NoOp 2", "4 - NoOp 4", "10 - NoOp 10", "102 - NoOp 102", "103 l NoOp 103"]
    );
}

#[test]
fn s140_a_later_file_replaces_an_extension_and_keeps_its_hint() {
    let files = [
        ("one.conf".into(), "[t](!)\nexten => 9,1,NoOp(t)\n[a]\nexten => 1,hint,SIP/1\nexten => 1,1,NoOp(old)\nexten => 1/5,1,NoOp(five)\n".to_owned()),
        ("two.conf".into(), "[a](+,t)\nexten => 1,1,NoOp(new)\n".to_owned()),
    ];
    let plan = Dialplan::parse(&files).unwrap_or_else(|errors| panic!("{}", shown(&errors).join("\n")));
    assert_eq!(steps(&plan, "a", "1"), ["1 - NoOp new"]);
    assert_eq!(steps(&plan, "a", "9"), ["1 - NoOp t"]);
    assert!(plan.hint(&Query::new("a", "1")).is_some());
    let five = plan.search(&Query::new("a", "1").caller("5")).unwrap();
    assert_eq!(five.step(1).unwrap().written.as_ref(), "NoOp(five)", "another caller, another extension");
}

#[test]
fn bytes_of_another_encoding_are_warned_of() {
    struct Latin1;
    impl Loader for Latin1 {
        fn read(&self, _: &std::path::Path) -> std::io::Result<Vec<u8>> {
            Ok(b"[a]\n; caf\xe9\nexten => 1,1,NoOp()\n".to_vec())
        }
        fn names(&self, _: &std::path::Path) -> std::io::Result<Vec<String>> {
            Ok(Vec::new())
        }
    }
    let plan = Dialplan::load(&[("x.conf".into(), "#include y.conf\n".to_owned())], &Latin1).unwrap();
    assert_eq!(
        shown(plan.warnings()),
        ["y.conf:2:1: from here on there are bytes that are not UTF-8, read as `\u{FFFD}`"]
    );
    assert_eq!(steps(&plan, "a", "1"), ["1 - NoOp "]);
}

#[test]
fn s101_s102_and_s142_numbers_run_in_order_up_to_a_gap_and_s_is_an_extension() {
    let plan = plan(
        "[macro-record]\nexten => s,3,NoOp(c)\nexten => s,1,NoOp(a)\nexten => s,5,NoOp(e)\nexten => s,4,NoOp(d)\n",
    );
    let query = Query::new("macro-record", "s");
    let there: Vec<u32> = (1..=6).filter(|priority| plan.at_priority(&query, *priority).is_some()).collect();
    assert_eq!(there, [1, 3, 4, 5], "a call that begins at 1 ends in the gap");
    assert_eq!(plan.find("macro-record", "s").unwrap().priorities().collect::<Vec<_>>(), there);
}

#[test]
fn s115_what_is_risky_in_a_command_is_told_with_its_place() {
    let text = "[a]\nexten => 1,1,System(curl https://crm/?a=1&b=${CALLERID(num)})\n same => n,MixMonitor(a.wav,,rec push\\; true)\n \
                same => n,TrySystem(curl \"https://crm/?a=1&b=2\")\n";
    let told = shown(plan(text).warnings());
    let sign =
        |sign: &str| format!("`{sign}` outside quotes means something to a shell: write the argument in \"quotes\"");
    assert_eq!(
        told,
        [
            format!("extensions.conf:2:14: System: {}", sign("&")),
            "extensions.conf:2:14: System: `CALLERID(num)` is what the other side says of itself: FILTER() leaves only what it may hold".to_owned(),
            format!("extensions.conf:3:12: MixMonitor: {}", sign(";")),
        ]
    );
}
