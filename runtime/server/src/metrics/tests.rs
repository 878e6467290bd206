//! The names and values that others read.

use super::*;
use crate::test_support::sample;

#[test]
fn autoscalers_find_the_names_they_know() {
    let metrics = Metrics::new("m").expect("metrics");
    metrics.load(&Load {
        running: 2,
        waiting: 3,
        blocks_used: 1,
        blocks_total: 4,
        block_tokens: 16,
        guessed_tokens_total: 6,
        guessed_right_total: 5,
        ..Load::default()
    });
    metrics.cache(&Load { blocks_total: 4, block_tokens: 16, ..Load::default() });
    metrics.first_token(Duration::from_millis(30), 7);
    metrics.next_token(Duration::from_millis(10));
    let now = std::time::Instant::now();
    let at = |milliseconds| Some(now + Duration::from_millis(milliseconds));
    let course = Course {
        arrived: now,
        started: at(20),
        first_token: at(30),
        last_token: at(40),
        prompt_tokens: 7,
        generated_tokens: 2,
        max_tokens: Some(9),
    };
    metrics.finished(&course, "stop");
    metrics.cache_use(&Usage { prompt_tokens: 7, completion_tokens: 2, cached_tokens: 4 });
    metrics.asked(3);
    metrics.step(12);
    let text = metrics.render().expect("text");
    let both = [r#"engine="0""#, r#"model_name="m""#];
    let of = |name: &str, more: &str| {
        let labels: Vec<&str> = both.into_iter().chain((!more.is_empty()).then_some(more)).collect();
        sample(&text, name, &labels)
    };
    for (name, more, value) in [
        ("vllm:num_requests_running", "", "2"),
        ("vllm:num_requests_waiting", "", "3"),
        ("vllm:kv_cache_usage_perc", "", "0.25"),
        ("vllm:cache_config_info", r#"num_gpu_blocks="4""#, "1"),
        ("vllm:prompt_tokens_total", "", "7"),
        ("vllm:generation_tokens_total", "", "2"),
        ("vllm:request_success_total", r#"finished_reason="stop""#, "1"),
        ("vllm:time_to_first_token_seconds_bucket", r#"le="0.04""#, "1"),
        ("vllm:inter_token_latency_seconds_count", "", "1"),
        ("vllm:e2e_request_latency_seconds_count", "", "1"),
        ("vllm:num_requests_waiting_by_reason", r#"reason="capacity""#, "3"),
        ("vllm:time_per_output_token_seconds_count", "", "1"),
        ("vllm:request_time_per_output_token_seconds_sum", "", "0.01"),
        ("vllm:request_queue_time_seconds_sum", "", "0.02"),
        ("vllm:request_prefill_time_seconds_sum", "", "0.01"),
        ("vllm:request_decode_time_seconds_sum", "", "0.01"),
        ("vllm:request_inference_time_seconds_sum", "", "0.02"),
        ("vllm:request_prompt_tokens_sum", "", "7"),
        ("vllm:request_generation_tokens_sum", "", "2"),
        ("vllm:request_max_num_generation_tokens_sum", "", "2"),
        ("vllm:request_params_n_sum", "", "3"),
        ("vllm:request_params_max_tokens_sum", "", "9"),
        ("vllm:iteration_tokens_total_sum", "", "12"),
        ("vllm:spec_decode_num_draft_tokens_total", "", "6"),
        ("vllm:spec_decode_num_accepted_tokens_total", "", "5"),
        ("vllm:prefix_cache_queries_total", "", "7"),
        ("vllm:prefix_cache_hits_total", "", "4"),
        ("vllm:prompt_tokens_cached_total", "", "4"),
    ] {
        assert_eq!(of(name, more), value, "{name}");
    }
}
