//! How a script runs: subroutines, macros, loops, jumps, special extensions, runaways; seen through the events it leaves.

use serde_json::Value;
use wirechief::call::trace::What;

use crate::harness::TestPbx;

/// Calls `100` of a plan, waits for the call's end, and gives back what its `UserEvent(v,text:…)` steps said.
async fn told(plan: &str) -> Vec<String> {
    let (told, _) = run(plan).await;
    told
}

/// As [`told`], with the kinds of all events.
async fn run(plan: &str) -> (Vec<String>, Vec<String>) {
    let pbx = TestPbx::with(plan).await;
    let mut alice = pbx.phone("alice").await.invite("100").await;
    alice.is_refused(&[404, 480, 484, 486, 500, 502, 503, 603]).await;
    pbx.is_idle().await;
    let (events, _) = pbx.pbx.exchange().journal.subscribe(Some(0));
    let text = |fields: &Value| fields["text"].as_str().unwrap_or_default().to_owned();
    let told = events.iter().filter(|event| event.kind == "user").map(|event| text(&event.fields["fields"]));
    (told.collect(), events.iter().map(|event| event.kind.clone()).collect())
}

/// `UserEvent` of a text.
fn tell(text: &str) -> String {
    format!("UserEvent(v,text:{text})")
}

#[tokio::test]
async fn s165_a_gosub_has_its_arguments_and_locals_and_comes_back_with_a_value() {
    let plan = format!(
        "exten => 100,1,Set(X=outer)\n same => n,Gosub(sub,s,1(a,b\\,c,${{X}}))\n same => n,{}\n same => n,Hangup()\n\
         [sub]\nexten => s,1,Set(LOCAL(X)=inner)\n same => n,{}\n same => n,Gosub(deep,1(z))\n same => n,{}\n same => n,Return(done ${{X}})\n\
         exten => deep,1,{}\n same => n,Return()\n",
        tell("${GOSUB_RETVAL} ${X} [${ARG1}]"),
        tell("${ARGC} ${ARG1} ${ARG2} ${ARG3} ${X}"),
        tell("${ARG1} ${ARG2}"),
        tell("${ARG1} [${ARG2}]"),
    );
    assert_eq!(told(&plan).await, ["3 a b,c outer inner", "z []", "a b,c", "done inner outer []"]);
}

#[tokio::test]
async fn s104_s105_a_macro_sees_the_outer_extension_and_its_arguments_with_their_blanks() {
    let plan = format!(
        "exten => 100,1,Macro(record-enable,000, OUT)\n same => n,{}\n same => n,Hangup()\n\
         [macro-record-enable]\nexten => s,1,{}\n same => n,Set(CALLFILENAME=x-${{MACRO_EXTEN}})\n same => n,Macro(inner)\n same => n,MacroExit()\n same => n,{}\n\
         [macro-inner]\nexten => s,1,{}\n",
        tell("${CALLFILENAME} [${MACRO_EXTEN}] ${EXTEN}"),
        tell("${ARG1}|${ARG2}|${MACRO_EXTEN}|${MACRO_CONTEXT}|${MACRO_PRIORITY}|${EXTEN}"),
        tell("never"),
        tell("inner ${MACRO_EXTEN}"),
    );
    assert_eq!(told(&plan).await, ["000| OUT|100|internal|1|s", "inner 100", "x-100 [] 100"]);
}

#[tokio::test]
async fn while_continues_and_exits_where_it_says() {
    let plan = format!(
        "exten => 100,1,Set(I=0)\n same => n,While($[${{I}} < 5])\n same => n,Set(I=$[${{I}} + 1])\n same => n,ExecIf($[${{I}} = 2]?ContinueWhile())\n\
         same => n,ExecIf($[${{I}} = 4]?ExitWhile())\n same => n,{}\n same => n,EndWhile()\n same => n,{}\n same => n,Hangup()\n",
        tell("${I}"),
        tell("end ${I}"),
    );
    assert_eq!(told(&plan).await, ["1", "3", "end 4"]);
}

#[tokio::test]
async fn s164_execif_runs_an_application_whose_arguments_have_commas_and_brackets() {
    let plan = format!(
        "exten => 100,1,ExecIf($[1]?Set(Z=a,b(c):d):Set(Z=no))\n same => n,ExecIf($[0]?Set(Y=no):Set(Y=yes))\n same => n,Set(APP=Set)\n\
         same => n,Exec(${{APP}}(W=1))\n same => n,ExecIf(?Set(V=no))\n same => n,{}\n same => n,Hangup()\n",
        tell("${Z} ${Y} ${W} [${V}]"),
    );
    assert_eq!(told(&plan).await, ["a,b(c):d yes 1 []"]);
}

#[tokio::test]
async fn s159_s163_s176_set_and_goto_behave_alike_on_one_line_and_on_three() {
    let one = "GotoIf($[${EXISTS(${SET(DialedExtension=${EXTEN})})}]?CallHandler,1:i,1)";
    let three = "NoOp()\n same => n,Set(DialedExtension=${EXTEN})\n same => n,Goto(CallHandler,1)";
    for form in [one, three] {
        let handler = tell("${DialedExtension} ${EXTEN}");
        let plan = format!("exten => _1XX,1,{form}\nexten => CallHandler,1,{handler}\n same => n,Hangup()\n");
        assert_eq!(told(&plan).await, ["100 CallHandler"], "{form}");
    }
}

#[tokio::test]
async fn what_an_administrator_wrote_is_split_wherever_it_stands_and_nothing_else_is() {
    let plan = format!(
        "exten => 100,1,Set(DEST=other,200,1)\n same => n,Gosub(sub,s,1(${{DEST}}))\n same => n,Hangup()\n\
         [sub]\nexten => s,1,Set(LOCAL(D)=${{ARG1}})\n same => n,Goto(${{D}})\n\
         [other]\nexten => 200,1,{}\n same => n,Set(CALLERID(name)=nowhere,1)\n same => n,Goto(${{CALLERID(name)}})\n\
         exten => i,1,{}\n same => n,Goto(${{IF($[1]?300,1:400,1)}})\n\
         exten => 300,1,{}\n same => n,Hangup()\n",
        tell("here"),
        tell("invalid ${INVALID_EXTEN}"),
        tell("chosen"),
    );
    assert_eq!(told(&plan).await, ["here", "invalid 200", "chosen"]);
}

#[tokio::test]
async fn s172_s173_h_runs_once_with_variables_still_there_also_from_inside_a_subroutine() {
    let plan = format!(
        "exten => 100,1,Set(X=1)\n same => n,Gosub(sub,s,1)\nexten => h,1,{}\n[sub]\nexten => s,1,Hangup(17)\n",
        tell("h ${X} ${HANGUPCAUSE}"),
    );
    assert_eq!(told(&plan).await, ["h 1 17"]);
}

#[tokio::test]
async fn the_catch_all_takes_what_no_i_takes() {
    let plan =
        format!("exten => 100,1,Goto(nowhere,1)\nexten => e,1,{}\n same => n,Hangup()\n", tell("e ${INVALID_EXTEN}"));
    assert_eq!(told(&plan).await, ["e nowhere"]);
}

#[tokio::test]
async fn an_invalid_number_in_i_comes_to_i_again_and_one_that_never_waits_is_stopped() {
    let plan = format!(
        "exten => 100,1,Set(N=0)\n same => n,Goto(nowhere,1)\nexten => i,1,Set(N=$[${{N}} + 1])\n same => n,{}\n\
         same => n,GotoIf($[${{N}} < 3]?elsewhere,1)\n same => n,Hangup()\n",
        tell("${N} ${INVALID_EXTEN}")
    );
    assert_eq!(told(&plan).await, ["1 nowhere", "2 elsewhere", "3 elsewhere"]);
    let (_, kinds) = run("exten => 100,1,Goto(x,1)\nexten => i,1,Goto(x,1)\n").await;
    assert!(kinds.iter().any(|kind| kind == "dialplan.runaway"), "{kinds:?}");
}

#[tokio::test]
async fn s207_dialplan_exists_asks_the_plan() {
    let all = "${DIALPLAN_EXISTS(internal)}${DIALPLAN_EXISTS(internal,100)}${DIALPLAN_EXISTS(internal,100,1)}${DIALPLAN_EXISTS(internal,100,lab)}${DIALPLAN_EXISTS(internal,100,9)}${DIALPLAN_EXISTS(internal,7)}${DIALPLAN_EXISTS(none)}";
    let plan = format!("exten => 100,1,{}\n same => n(lab),Hangup()\n", tell(all));
    assert_eq!(told(&plan).await, ["1111000"]);
}

#[tokio::test]
async fn a_jump_within_an_extension_goes_where_a_search_would_lead() {
    let plan = format!(
        "exten => 100,1,Goto(on)\n same => n,{never}\n same => n(on),Set(CALLERID(num)=2001)\n same => n,Goto(1)\n\
         exten => 100/2001,1,{}\n same => n,Goto(+2)\n same => n,{never}\n same => n,Goto(far)\n same => n,{never}\n\
         exten => _1XX,9(far),{}\n same => n,Hangup()\n",
        tell("the caller is another"),
        tell("a label that only another extension has"),
        never = tell("never"),
    );
    assert_eq!(told(&plan).await, ["the caller is another", "a label that only another extension has"]);
}

#[tokio::test]
async fn a_runaway_script_is_stopped_with_an_event_and_its_call_ended() {
    for (what, plan) in [
        ("a loop", "exten => 100,1,Goto(1)\n".to_owned()),
        ("a recursion", "exten => 100,1,Gosub(1)\n".to_owned()),
        ("a macro in itself", "exten => 100,1,Macro(x)\n[macro-x]\nexten => s,1,Macro(x)\n".to_owned()),
        ("a doubled value", "exten => 100,1,Set(A=0123456789)\n same => n(again),Set(A=${A}${A})\n same => n,Goto(again)\n".to_owned()),
        (
            "many values",
            "exten => 100,1,Set(A=0123456789012345678901234567890123456789012345678901234567890123456789)\n same => n,Set(I=0)\n\
             same => n(again),Set(I=$[${I}+1])\n same => n,Set(V${I}=${A}${A}${A}${A}${A}${A}${A}${A})\n same => n,Goto(again)\n"
                .to_owned(),
        ),
    ] {
        let (_, kinds) = run(&plan).await;
        assert_eq!(kinds.iter().filter(|kind| *kind == "dialplan.runaway").count(), 1, "{what}: {kinds:?}");
    }
}

/// What a followed call showed, as `kind name-or-step value` lines.
async fn followed(plan: &str) -> Vec<String> {
    let pbx = TestPbx::with(plan).await;
    let (to, mut lines) = tokio::sync::mpsc::channel(1000);
    pbx.pbx.exchange().traces.wait_for("100".into(), to);
    let mut alice = pbx.phone("alice").await.invite("100").await;
    alice.is_refused(&[480, 486]).await;
    pbx.is_idle().await;
    let mut shown = Vec::new();
    while let Some(line) = lines.recv().await {
        shown.push(match line.what {
            What::Step { priority, step, .. } => format!("{priority} {step}"),
            What::Value { value } => format!("= {value}"),
            What::Set { name, value } => format!("{name}={}", value.unwrap_or_default()),
            What::Lost { count } => format!("lost {count}"),
            What::End { cause } => format!("end {cause}"),
        });
    }
    shown
}

#[tokio::test]
async fn s146_the_next_call_to_a_number_is_followed_step_by_step() {
    let plan = "exten => 100,1,Set(A=1${EXTEN})\n same => n,Set(A=2)\n same => n,Busy()\n";
    let shown = followed(plan).await;
    for line in ["1 Set(A=1${EXTEN})", "= 1100", "A=1100", "A=2", "3 Busy()", "end 17"] {
        assert!(shown.iter().any(|shown| shown == line), "{line} is not in {shown:?}");
    }
    assert!(shown.iter().position(|line| line == "A=1100") < shown.iter().position(|line| line == "A=2"));
}

#[tokio::test]
async fn showing_a_secret_hides_it_and_still_does_what_is_written() {
    let plan = format!(
        "exten => 100,1,Set(SECRET(PIN)=yes)\n same => n,Set(PIN=4711)\n same => n,Set(NAME=PIN)\n\
         same => n,NoOp(${{SET(COPY=${{PIN}})}})\n same => n,{}\n same => n,GotoIf($[\"${{COPY}}\" = \"4711\"]?ok)\n\
         same => n,Hangup(1)\n same => n(ok),Busy()\n",
        tell("${${NAME}} ${PIN:0:2} ${LEN(${PIN})} ${COPY} ${NAME}"),
    );
    let (told, _) = run(&plan).await;
    assert_eq!(told, ["**** **** **** **** PIN"]);
    assert!(followed(&plan).await.contains(&"end 17".to_owned()), "the copy is the secret itself, not what was shown");
}

#[tokio::test]
async fn s194_s197_what_is_secret_or_made_of_it_is_shown_to_nobody() {
    let plan = format!(
        "exten => 100,1,Set(SECRET(PIN)=yes)\n same => n,Set(PIN=4711)\n same => n,Set(COPY=x${{TOUPPER(${{PIN}})}})\n\
         same => n,{}\n same => n,GotoIf($[\"${{COPY}}\" = \"x4711\"]?ok)\n same => n,Hangup(1)\n same => n(ok),Busy()\n",
        tell("pin ${PIN} copy ${COPY}"),
    );
    let shown = followed(&plan).await;
    // what is written in the dialplan is shown as it stands there
    let computed = shown.iter().filter(|line| !line.starts_with(|c: char| c.is_ascii_digit()));
    assert!(computed.clone().all(|line| !line.contains("4711")), "{shown:?}");
    assert!(shown.contains(&"PIN=****".to_owned()) && shown.contains(&"end 17".to_owned()), "{shown:?}");
    let (told, _) = run(&plan).await;
    assert_eq!(told, ["pin **** copy ****"]);
}
