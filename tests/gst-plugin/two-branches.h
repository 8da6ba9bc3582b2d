/* A label tree for tests of answers.
 *
 * SPDX-License-Identifier: LGPL-2.1-or-later
 */
#pragma once

/* A tree of two branches: city 0 "Malm" is in state 0, country 0, continent 0, the others in 1. */
static const char two_branches[] =
    "{ \"version\": 1, \"name\": \"two\","
    " \"continents\": [ { \"label\": \"Europe\" }, { \"label\": \"North America\" } ],"
    " \"countries\": [ { \"label\": \"Sweden\", \"code\": \"SE\", \"continent\": 0 },"
    "   { \"label\": \"Nowhere\", \"continent\": 1 } ],"
    " \"states\": [ { \"label\": \"Skane\", \"name\": \"Skåne\", \"country\": 0 },"
    "   { \"label\": \"Elsewhere\", \"country\": 1 } ],"
    " \"cities\": [ { \"label\": \"Malm\", \"name\": \"Malmö\", \"state\": 0,"
    "     \"latitude\": 55.6, \"longitude\": 13.0 },"
    "   { \"label\": \"Quote, \\\"unquote\\\"; end\", \"state\": 1,"
    "     \"latitude\": 37.5, \"longitude\": -122.25 } ] }";
