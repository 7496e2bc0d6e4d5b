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

SIZE(depot_build_options, 64);
AT(depot_build_options, size, 0);
AT(depot_build_options, project, 8);
AT(depot_build_options, token, 16);
AT(depot_build_options, build_id, 24);
AT(depot_build_options, context_dir, 32);
AT(depot_build_options, tags, 40);
AT(depot_build_options, cancel, 48);
AT(depot_build_options, timeout_ms, 56);

SIZE(depot_client_options, 160);
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
