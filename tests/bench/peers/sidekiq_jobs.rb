# SPDX-License-Identifier: MIT
#
# bench/peers/sidekiq_jobs: Sidekiq, as its own command line starts it, with a log of warnings only. See jobs.h for
# words and marks.
return if defined?(Noop) # the worker requires its application, which is this file

require "json"
require "sidekiq"

server, MARKS, word, first, second = ARGV
require "sidekiq/cli" if word == "serve" # from then on Sidekiq takes this process for a server
first, second = first.to_i, second.to_i
BURN_NS = 1_000_000
AT_ONCE = 1000

def now_ns(clock = Process::CLOCK_MONOTONIC) = Process.clock_gettime(clock, :nanosecond)

class Noop
  include Sidekiq::Worker

  def perform(at)
    if at < 0
      end_ns = now_ns(Process::CLOCK_THREAD_CPUTIME_ID) + BURN_NS
      nil while now_ns(Process::CLOCK_THREAD_CPUTIME_ID) < end_ns
    elsif at > 0
      File.open(MARKS, "a") { |file| file.syswrite("#{now_ns} #{at}\n") }
    end
  end
end

def enqueue(count, at)
  Noop.perform_async(now_ns)
  from_ns = now_ns
  yield count, at
  seconds = (now_ns - from_ns) / 1e9
  Noop.perform_async(now_ns)
  puts JSON.generate(per_s: (count / seconds).round)
end

def pace(count, every_ns)
  next_ns = now_ns
  count.times do
    next_ns += every_ns
    sleep([next_ns - now_ns, 0].max / 1e9)
    Noop.perform_async(now_ns)
  end
end

def serve(threads)
  worker = Sidekiq::CLI.instance
  worker.parse(["--environment", "production", "--require", File.expand_path(__FILE__), "--concurrency", threads.to_s])
  Sidekiq.logger.level = Logger::WARN
  worker.run
end

Redis.silence_deprecations = true if Redis.respond_to?(:silence_deprecations=) # each would cost a job its warning
Sidekiq.configure_client { |config| config.redis = { url: "unix://#{server}" } }
Sidekiq.configure_server { |config| config.redis = { url: "unix://#{server}" } }
case word
when "version" then puts Sidekiq::VERSION
when "one" then enqueue(first, second) { |count, at| count.times { Noop.perform_async(at) } }
when "bulk"
  enqueue(first, second) do |count, at|
    Array.new(count) { [at] }.each_slice(AT_ONCE) { |args| Sidekiq::Client.push_bulk("class" => Noop, "args" => args) }
  end
when "pace" then pace(first, second * 1000)
when "serve" then serve(first)
end
