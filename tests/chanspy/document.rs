//! Document \[001\]'s codes as a dialplan has them, in `examples/spy-codes`, with real phones.

use wirechief::evidence::Event;

use super::{on_record, reasons};
use crate::call::{hear_each_other, talk};
use crate::harness::{TestPbx, Tone, only};

#[tokio::test]
async fn s084_the_codes_of_the_document_run_as_written() {
    let pbx = TestPbx::example("spy-codes", &[]).await;
    let (ann, mut ben) = (pbx.phone("1001").await, pbx.phone("1002").await);
    let (mut calling, mut called) = talk(&ann, &mut ben, "1002").await;
    hear_each_other(&mut calling, &mut called).await;
    let cleo = pbx.phone("1003").await;
    // both are agents: it is the one whose extension was dialled who is whispered to
    for (code, ann_hears, ben_hears) in [
        ("*911001", only(Tone::B), only(Tone::A)),
        ("*921001", Tone::B + Tone::Supervisor, only(Tone::A)),
        ("*921002", only(Tone::B), Tone::A + Tone::Supervisor),
        ("*931002", Tone::B + Tone::Supervisor, Tone::A + Tone::Supervisor),
    ] {
        let mut spy = cleo.invite(code).await;
        spy.expects([200]).await.ack().await.says(Tone::Supervisor).await;
        spy.hears(Tone::A + Tone::B).await;
        calling.hears(ann_hears).await;
        called.hears(ben_hears).await;
        spy.hangs_up().await;
    }
    let dan = pbx.phone("1004").await;
    let mut refused = dan.invite("*921001").await;
    refused.expects([200]).await.ack().await.says(Tone::Supervisor).await.is_hung_up().await;
    assert_eq!(reasons(&on_record(&pbx, Event::Refused, 1).await), ["level"]);
    calling.hears(only(Tone::B)).await;
    called.hears(only(Tone::A)).await;
}
