/* Sizes and offsets of every struct that callers compile into their programs, frozen at version 0.1
 * for 64-bit systems. It compiles, or the ABI is broken. A field that is appended adds its line
 * here and raises the struct's size: SIZE then holds the new one, and *_OPTIONS_SIZE_V1 in the
 * tests stays.
 */
#include <depot/depot.h>

#define SIZE(type, size) _Static_assert(sizeof(type) == (size), "size of " #type)
#define AT(type, field, offset) \
  _Static_assert(offsetof(type, field) == (offset), #type "." #field " has moved")

_Static_assert(sizeof(void*) == 8, "frozen for 64-bit systems");
_Static_assert(sizeof(depot_code) == 4 && (depot_code)-1 < 0, "codes are signed 32-bit");
_Static_assert(sizeof(depot_hop) == 4 && sizeof(depot_outcome) == 4, "numbers are 32-bit");
_Static_assert(sizeof(depot_log_level) == 4, "numbers are 32-bit");

SIZE(depot_build_options, 80);
AT(depot_build_options, size, 0);
AT(depot_build_options, project, 8);
AT(depot_build_options, token, 16);
AT(depot_build_options, build_id, 24);
AT(depot_build_options, context_dir, 32);
AT(depot_build_options, tags, 40);
AT(depot_build_options, cancel, 48);
AT(depot_build_options, timeout_ms, 56);
AT(depot_build_options, save_tags, 64);
AT(depot_build_options, save, 72);
AT(depot_build_options, reserved, 76);

SIZE(depot_client_options, 168);
AT(depot_client_options, size, 0);
AT(depot_client_options, builder, 8);
AT(depot_client_options, token, 16);
AT(depot_client_options, project, 24);
AT(depot_client_options, api_url, 32);
AT(depot_client_options, ca_file, 40);
AT(depot_client_options, proxy, 48);
AT(depot_client_options, tls_ca_file, 56);
AT(depot_client_options, tls_cert_file, 64);
AT(depot_client_options, tls_key_file, 72);
AT(depot_client_options, tls_server_name, 80);
AT(depot_client_options, allow_plaintext, 88);
AT(depot_client_options, use_environment, 92);
AT(depot_client_options, builderd_path, 96);
AT(depot_client_options, engine_dir, 104);
AT(depot_client_options, state_dir, 112);
AT(depot_client_options, product, 120);
AT(depot_client_options, max_message_size, 128);
AT(depot_client_options, on_log, 136);
AT(depot_client_options, user_data, 144);
AT(depot_client_options, user_data_free, 152);
AT(depot_client_options, nodes, 160);

SIZE(depot_range, 16);
AT(depot_range, start_line, 0);
AT(depot_range, start_character, 4);
AT(depot_range, end_line, 8);
AT(depot_range, end_character, 12);

SIZE(depot_machine_options, 24);
AT(depot_machine_options, size, 0);
AT(depot_machine_options, cancel, 8);
AT(depot_machine_options, timeout_ms, 16);

SIZE(depot_solve_options, 48);
AT(depot_solve_options, size, 0);
AT(depot_solve_options, cancel, 8);
AT(depot_solve_options, timeout_ms, 16);
AT(depot_solve_options, on_status, 24);
AT(depot_solve_options, user_data, 32);
AT(depot_solve_options, user_data_free, 40);

SIZE(depot_vertex, 88);
AT(depot_vertex, size, 0);
AT(depot_vertex, digest, 8);
AT(depot_vertex, name, 16);
AT(depot_vertex, error, 24);
AT(depot_vertex, started, 32);
AT(depot_vertex, completed, 40);
AT(depot_vertex, cached, 48);
AT(depot_vertex, reserved, 52);
AT(depot_vertex, input_count, 56);
AT(depot_vertex, inputs, 64);
AT(depot_vertex, progress_group_id, 72);
AT(depot_vertex, progress_group_name, 80);

SIZE(depot_vertex_status, 72);
AT(depot_vertex_status, size, 0);
AT(depot_vertex_status, id, 8);
AT(depot_vertex_status, vertex, 16);
AT(depot_vertex_status, name, 24);
AT(depot_vertex_status, current, 32);
AT(depot_vertex_status, total, 40);
AT(depot_vertex_status, timestamp, 48);
AT(depot_vertex_status, started, 56);
AT(depot_vertex_status, completed, 64);

SIZE(depot_vertex_log, 48);
AT(depot_vertex_log, size, 0);
AT(depot_vertex_log, vertex, 8);
AT(depot_vertex_log, data, 16);
AT(depot_vertex_log, data_size, 24);
AT(depot_vertex_log, timestamp, 32);
AT(depot_vertex_log, stream, 40);
AT(depot_vertex_log, reserved, 44);

SIZE(depot_vertex_warning, 88);
AT(depot_vertex_warning, size, 0);
AT(depot_vertex_warning, vertex, 8);
AT(depot_vertex_warning, message, 16);
AT(depot_vertex_warning, url, 24);
AT(depot_vertex_warning, source_file, 32);
AT(depot_vertex_warning, detail_count, 40);
AT(depot_vertex_warning, details, 48);
AT(depot_vertex_warning, range_count, 56);
AT(depot_vertex_warning, ranges, 64);
AT(depot_vertex_warning, level, 72);
AT(depot_vertex_warning, reserved, 76);
AT(depot_vertex_warning, excerpt, 80);

SIZE(depot_credential_use, 24);
AT(depot_credential_use, size, 0);
AT(depot_credential_use, host, 8);
AT(depot_credential_use, receiver, 16);
SIZE(depot_lint_warning, 64);
AT(depot_lint_warning, size, 0);
AT(depot_lint_warning, rule, 8);
AT(depot_lint_warning, description, 16);
AT(depot_lint_warning, url, 24);
AT(depot_lint_warning, detail, 32);
AT(depot_lint_warning, source_file, 40);
AT(depot_lint_warning, range_count, 48);
AT(depot_lint_warning, ranges, 56);

SIZE(depot_outline_entry, 56);
AT(depot_outline_entry, size, 0);
AT(depot_outline_entry, name, 8);
AT(depot_outline_entry, description, 16);
AT(depot_outline_entry, value, 24);
AT(depot_outline_entry, range_count, 32);
AT(depot_outline_entry, ranges, 40);
AT(depot_outline_entry, kind, 48);
AT(depot_outline_entry, required, 52);

SIZE(depot_target, 64);
AT(depot_target, size, 0);
AT(depot_target, name, 8);
AT(depot_target, description, 16);
AT(depot_target, base, 24);
AT(depot_target, platform, 32);
AT(depot_target, range_count, 40);
AT(depot_target, ranges, 48);
AT(depot_target, is_default, 56);
AT(depot_target, reserved, 60);

SIZE(depot_progress_options, 96);
AT(depot_progress_options, size, 0);
AT(depot_progress_options, write, 8);
AT(depot_progress_options, user_data, 16);
AT(depot_progress_options, user_data_free, 24);
AT(depot_progress_options, colors, 32);
AT(depot_progress_options, phase, 40);
AT(depot_progress_options, description, 48);
AT(depot_progress_options, warnings_hint, 56);
AT(depot_progress_options, fd, 64);
AT(depot_progress_options, width, 68);
AT(depot_progress_options, height, 72);
AT(depot_progress_options, log_lines, 76);
AT(depot_progress_options, color, 80);
AT(depot_progress_options, warnings, 84);
AT(depot_progress_options, use_environment, 88);
AT(depot_progress_options, replay, 92);

SIZE(depot_step, 152);
AT(depot_step, size, 0);
AT(depot_step, digest, 8);
AT(depot_step, name, 16);
AT(depot_step, error, 24);
AT(depot_step, platform, 32);
AT(depot_step, group, 40);
AT(depot_step, log_tail, 48);
AT(depot_step, started, 56);
AT(depot_step, completed, 64);
AT(depot_step, duration, 72);
AT(depot_step, dropped_statuses, 80);
AT(depot_step, dropped_warnings, 88);
AT(depot_step, dropped_log_lines, 96);
AT(depot_step, status_count, 104);
AT(depot_step, warning_count, 112);
AT(depot_step, input_count, 120);
AT(depot_step, interval_count, 128);
AT(depot_step, number, 136);
AT(depot_step, state, 140);
AT(depot_step, is_group, 144);
AT(depot_step, hidden, 148);

SIZE(depot_interval, 24);
AT(depot_interval, size, 0);
AT(depot_interval, start, 8);
AT(depot_interval, stop, 16);

SIZE(depot_ask_options, 24);
AT(depot_ask_options, size, 0);
AT(depot_ask_options, cancel, 8);
AT(depot_ask_options, timeout_ms, 16);

SIZE(depot_worker, 104);
AT(depot_worker, size, 0);
AT(depot_worker, id, 8);
AT(depot_worker, platform_count, 16);
AT(depot_worker, platforms, 24);
AT(depot_worker, label_count, 32);
AT(depot_worker, label_keys, 40);
AT(depot_worker, label_values, 48);
AT(depot_worker, buildkit_version, 56);
AT(depot_worker, buildkit_package, 64);
AT(depot_worker, buildkit_revision, 72);
AT(depot_worker, dockerfile_version, 80);
AT(depot_worker, gc_policy_count, 88);
AT(depot_worker, device_count, 96);

SIZE(depot_gc_policy, 64);
AT(depot_gc_policy, size, 0);
AT(depot_gc_policy, filter_count, 8);
AT(depot_gc_policy, filters, 16);
AT(depot_gc_policy, keep_duration_ms, 24);
AT(depot_gc_policy, reserved_space, 32);
AT(depot_gc_policy, max_used_space, 40);
AT(depot_gc_policy, min_free_space, 48);
AT(depot_gc_policy, all, 56);
AT(depot_gc_policy, reserved, 60);

SIZE(depot_device, 24);
AT(depot_device, size, 0);
AT(depot_device, name, 8);
AT(depot_device, auto_allow, 16);
AT(depot_device, on_demand, 20);

SIZE(depot_usage_record, 96);
AT(depot_usage_record, size, 0);
AT(depot_usage_record, id, 8);
AT(depot_usage_record, type, 16);
AT(depot_usage_record, description, 24);
AT(depot_usage_record, parent_count, 32);
AT(depot_usage_record, parents, 40);
AT(depot_usage_record, bytes, 48);
AT(depot_usage_record, created, 56);
AT(depot_usage_record, last_used, 64);
AT(depot_usage_record, usage_count, 72);
AT(depot_usage_record, in_use, 80);
AT(depot_usage_record, is_mutable, 84);
AT(depot_usage_record, is_shared, 88);
AT(depot_usage_record, reserved, 92);

SIZE(depot_prune_options, 88);
AT(depot_prune_options, size, 0);
AT(depot_prune_options, filters, 8);
AT(depot_prune_options, reserved_space, 16);
AT(depot_prune_options, max_used_space, 24);
AT(depot_prune_options, min_free_space, 32);
AT(depot_prune_options, all, 40);
AT(depot_prune_options, reserved, 44);
AT(depot_prune_options, on_record, 48);
AT(depot_prune_options, user_data, 56);
AT(depot_prune_options, user_data_free, 64);
AT(depot_prune_options, cancel, 72);
AT(depot_prune_options, timeout_ms, 80);

SIZE(depot_history_options, 48);
AT(depot_history_options, size, 0);
AT(depot_history_options, filters, 8);
AT(depot_history_options, ref, 16);
AT(depot_history_options, limit, 24);
AT(depot_history_options, active_only, 28);
AT(depot_history_options, cancel, 32);
AT(depot_history_options, timeout_ms, 40);

SIZE(depot_history_record, 168);
AT(depot_history_record, size, 0);
AT(depot_history_record, ref, 8);
AT(depot_history_record, name, 16);
AT(depot_history_record, frontend, 24);
AT(depot_history_record, attr_count, 32);
AT(depot_history_record, attr_keys, 40);
AT(depot_history_record, attr_values, 48);
AT(depot_history_record, response_count, 56);
AT(depot_history_record, response_keys, 64);
AT(depot_history_record, response_values, 72);
AT(depot_history_record, exporter_count, 80);
AT(depot_history_record, exporters, 88);
AT(depot_history_record, blob_count, 96);
AT(depot_history_record, error, 104);
AT(depot_history_record, error_text, 112);
AT(depot_history_record, created, 120);
AT(depot_history_record, completed, 128);
AT(depot_history_record, state, 136);
AT(depot_history_record, total_steps, 140);
AT(depot_history_record, completed_steps, 144);
AT(depot_history_record, cached_steps, 148);
AT(depot_history_record, warnings, 152);
AT(depot_history_record, pinned, 156);
AT(depot_history_record, error_code, 160);
AT(depot_history_record, reserved, 164);

SIZE(depot_blob, 48);
AT(depot_blob, size, 0);
AT(depot_blob, type, 8);
AT(depot_blob, platform, 16);
AT(depot_blob, digest, 24);
AT(depot_blob, bytes, 32);
AT(depot_blob, kind, 40);
AT(depot_blob, reserved, 44);

SIZE(depot_local_options, 40);
AT(depot_local_options, size, 0);
AT(depot_local_options, project, 8);
AT(depot_local_options, force, 16);
AT(depot_local_options, reserved, 20);
AT(depot_local_options, cancel, 24);
AT(depot_local_options, timeout_ms, 32);

SIZE(depot_local_project, 64);
AT(depot_local_project, size, 0);
AT(depot_local_project, id, 8);
AT(depot_local_project, directory, 16);
AT(depot_local_project, machine_count, 24);
AT(depot_local_project, builds, 32);
AT(depot_local_project, last_used, 40);
AT(depot_local_project, cache_bytes, 48);
AT(depot_local_project, cache_partial, 56);
AT(depot_local_project, reserved, 60);

SIZE(depot_local_machine, 48);
AT(depot_local_machine, size, 0);
AT(depot_local_machine, architecture, 8);
AT(depot_local_machine, buildkit_version, 16);
AT(depot_local_machine, pid, 24);
AT(depot_local_machine, builds, 32);
AT(depot_local_machine, state, 40);
AT(depot_local_machine, reserved, 44);

SIZE(depot_builds_options, 56);
AT(depot_builds_options, size, 0);
AT(depot_builds_options, project, 8);
AT(depot_builds_options, token, 16);
AT(depot_builds_options, context_dir, 24);
AT(depot_builds_options, limit, 32);
AT(depot_builds_options, reserved, 36);
AT(depot_builds_options, cancel, 40);
AT(depot_builds_options, timeout_ms, 48);

SIZE(depot_listed_build, 40);
AT(depot_listed_build, size, 0);
AT(depot_listed_build, id, 8);
AT(depot_listed_build, created, 16);
AT(depot_listed_build, finished, 24);
AT(depot_listed_build, state, 32);
AT(depot_listed_build, reserved, 36);

SIZE(depot_pull_target, 32);
AT(depot_pull_target, size, 0);
AT(depot_pull_target, name, 8);
AT(depot_pull_target, tag_count, 16);
AT(depot_pull_target, tags, 24);

SIZE(depot_pull_options, 48);
AT(depot_pull_options, size, 0);
AT(depot_pull_options, token, 8);
AT(depot_pull_options, tags, 16);
AT(depot_pull_options, targets, 24);
AT(depot_pull_options, platform, 32);
AT(depot_pull_options, into, 40);
