# Rails' Action Cable, which we did not write, under puma; the path is /cable. It has one channel, ChatChannel, and like
# every Rails application it refuses requests from another origin.
require 'logger'
require 'action_cable'

class ApplicationConnection < ActionCable::Connection::Base; end

class ChatChannel < ActionCable::Channel::Base
  def subscribed
    stream_from 'chat'
  end
end

ActionCable.server.config.cable = { 'adapter' => 'async' }
ActionCable.server.config.logger = Logger.new($stdout)
ActionCable.server.config.connection_class = -> { ApplicationConnection }
ActionCable.server.config.allow_same_origin_as_host = true

map('/cable') { run ActionCable.server }
