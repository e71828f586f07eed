//! What the 4.x series allows less than others, as each of its families is told.

use gateway::Series;
use wire::{
    grpc_v1::{self as v1, system_attribute::TimedDelivery},
    remoting::{RequestCode, ResponseCode},
};

use crate::{
    grpc_v1::{Sdk, code, message, text},
    ons_http,
    remoting::send_header,
    support::{Server, Setup},
};

const TOO_LARGE: usize = 64 * 1024 + 1;

/// What each family is told of a timed message with a body that is a byte too long.
async fn told(series: Series) -> [String; 3] {
    let server = Server::with(Setup {
        series,
        ..Setup::default()
    })
    .await;
    let body = "x".repeat(TOO_LARGE);

    let mut peer = server.peer().await;
    let header = send_header("orders", "TIMER_DELAY_MS\u{1}1000\u{2}");
    let command = peer.command(RequestCode::SendMessageV2, &header);
    let answer = peer.ask(&command.with_body(body.clone())).await;
    let remark = answer.remark.clone().unwrap_or_default();
    let remoting = match answer.response_code() {
        Some(ResponseCode::Success) => String::new(),
        Some(ResponseCode::MessageIllegal) => remark,
        other => panic!("{other:?}: {remark}"),
    };

    let mut sdk = Sdk::connect(&server, "sdk").await;
    let mut timed = message("orders", "timed");
    timed.body = body.clone().into();
    let system = timed.system_attribute.get_or_insert_default();
    system.message_type = v1::MessageType::Delay.into();
    system.timed_delivery = Some(TimedDelivery::DelayLevel(1));
    let grpc = match series {
        Series::V5 => String::new(),
        Series::Any | Series::V4 => {
            let answer = sdk.send(timed).await;
            match code(&answer.common) {
                tonic::Code::Ok => String::new(),
                tonic::Code::InvalidArgument => text(&answer.common).to_owned(),
                other => panic!("{other:?}"),
            }
        }
    };

    let http = match series {
        Series::V5 => String::new(),
        Series::Any | Series::V4 => ons_http::send_timed(&server, &body).await,
    };
    [remoting, grpc, http]
}

#[tokio::test]
async fn a_large_timed_message_is_refused_with_the_error_of_its_family() {
    for told in told(Series::V4).await {
        let expected = format!("body has {TOO_LARGE} bytes, expected at most 65536");
        assert!(told.contains(&expected), "{told}");
    }
    assert_eq!(told(Series::Any).await, ["", "", ""]);
    assert_eq!(told(Series::V5).await, ["", "", ""]);
}
